"""What the health edge finds wrong with the run, and when it is well again."""

from evenkeel.messages.system import Observation


class HealthAlarmed(Observation, frozen=True):
    """A check has begun to fail; said once, not again while it lasts. `HealthEased` of the same check and scope ends it.

    `check` is one of the stable words of rules/health.py, `scope` what it is about (a symbol, a ticket, a child), empty for
    the whole run. `severity` 1 is the gravest, 3 the mildest. `detail` is one line with the numbers, no secrets.
    """

    check: str
    severity: int
    detail: str
    scope: str = ""


class HealthEased(Observation, frozen=True):
    """A check that was alarmed is well again, or there is nothing left that it could be about."""

    check: str
    scope: str = ""
