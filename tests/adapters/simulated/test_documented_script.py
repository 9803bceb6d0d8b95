"""A script that was written against the documentation of the real package alone runs on the simulated one."""

from documented_script import main

from evenkeel.adapters.simulated.api import MetaTrader5Like


def test_a_script_for_the_real_package_runs_unchanged() -> None:
    facts = main(MetaTrader5Like())
    assert facts["deals"] == 12
    assert facts["balance_change"] == round(facts["balance_end"] - facts["balance_start"], 2)
