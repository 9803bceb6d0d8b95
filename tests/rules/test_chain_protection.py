"""A chain that has earned a good deal more than a recovery may lose keeps it."""

import pytest

from evenkeel.rules.chain_protection import is_protected


@pytest.mark.parametrize(
    "mode, profit_cents, loss_cents, kept",
    [
        ("balanced", 2000, 333, True),
        ("balanced", 2000, 334, False),
        ("balanced", 1999, 1, False),
        ("aggressive", 1751, 500, True),
        ("aggressive", 1750, 500, False),
        ("conservative", 3000, 333, True),
        ("very_conservative", 5000, 334, False),
        ("off", 10**9, 1, False),
    ],
)
def test_the_thresholds_of_each_mode(mode, profit_cents, loss_cents, kept):
    assert is_protected(mode, profit_cents=profit_cents, loss_cents=loss_cents, currency_digits=2) is kept
