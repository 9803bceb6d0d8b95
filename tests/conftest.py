"""Random tests are the same each time: what they find, they find here and not in somebody's gate; no test is timed.

Compiled code is kept, whatever the environment says: hundreds of processes start here, and each would compile everything anew.
"""

import os
import sys

from hypothesis import HealthCheck, settings

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
