"""Random tests are the same each time: what they find, they find here and not in somebody's gate; no test is timed.

Compiled code is kept, whatever the environment says: hundreds of processes start here, and each would compile everything anew.
Nobody's terminal is asked for its width: the processes of pytest-xdist find themselves in one of 80 columns.
"""

import os
import sys

from hypothesis import HealthCheck, settings

sys.dont_write_bytecode = False
for name in ("PYTHONDONTWRITEBYTECODE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
