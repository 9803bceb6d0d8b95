"""What the operating system says of this process: how old it is, how much memory it has held."""

import os
import re
import sys
import time
from pathlib import Path
from typing import Final

from evenkeel.runtime.clock import monotonic_s

_IMPORTED_S: Final = monotonic_s()
_BYTES_PER_MB: Final = 1024 * 1024


def age_s() -> float:
    """Seconds since the process started; elsewhere than on Linux, since this module was imported."""
    if sys.platform != "linux":
        return monotonic_s() - _IMPORTED_S
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def memory_peak_mb() -> float:
    """The largest resident set of the process, in units of 1,048,576 bytes."""
    return _memory_peak_bytes() / _BYTES_PER_MB


if sys.platform == "linux":

    def _memory_peak_bytes() -> int:
        """Not getrusage: that also counts what the parent held when it started us."""
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found is not None, "every process with memory of its own has one"
        return int(found[1]) * 1024

elif sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class _MemoryCounters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("working_set_peak", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    def _memory_peak_bytes() -> int:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        counters = _MemoryCounters(size=ctypes.sizeof(_MemoryCounters))
        this_process = wintypes.HANDLE(-1)
        if not kernel.K32GetProcessMemoryInfo(this_process, ctypes.byref(counters), counters.size):
            raise ctypes.WinError(ctypes.get_last_error())
        return int(counters.working_set_peak)

else:
    import resource

    def _memory_peak_bytes() -> int:
        """macOS counts bytes where Linux counts kilobytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
