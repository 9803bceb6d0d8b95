"""Random tests are the same each time: what they find, they find here and not in somebody's gate; no test is timed."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
