"""An end that a signal handler asks for, whatever the interrupted thread was about to do."""

import subprocess
import sys

import pytest

from evenkeel.commands.asked import Asked

STORM = """
import signal
from evenkeel.commands.asked import Asked
ends = [Asked()]
signal.signal(signal.SIGALRM, lambda *_: ends[-1].set())
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(1500):
    while not ends[-1].wait(0.00005):
        pass
    ends.append(Asked())
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_who_was_asked_stays_asked() -> None:
    ended = Asked()
    assert not ended.wait(0.0)
    ended.set()
    assert ended.wait(60.0)
    assert ended.wait(60.0)
    assert ended.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="no timer signals")
def test_a_signal_in_the_middle_of_a_wait_never_locks_it_up() -> None:
    assert subprocess.run([sys.executable, "-c", STORM], timeout=60, check=False).returncode == 0
