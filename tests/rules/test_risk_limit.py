from evenkeel.config.schema import DEMO, PERSONAL, PLAIN, PROP
from evenkeel.rules.risk_limit import needs_equity


def test_only_the_plain_profile_needs_no_equity():
    assert [needs_equity(limits) for limits in (PLAIN, PERSONAL, PROP, DEMO)] == [False, True, True, True]
