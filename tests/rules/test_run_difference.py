from evenkeel.rules.run_difference import Decision, Difference, run_difference


def test_what_happened_at_one_time_is_side_by_side_and_the_first_of_a_symbol_is_marked() -> None:
    same = Decision(1, "EURUSD", "opened", "buy at 1")
    this = [same, Decision(2, "EURUSD", "closed", "at 2"), Decision(3, "GBPUSD", "opened", "buy at 3")]
    other = [same, Decision(2, "EURUSD", "closed", "at 4"), Decision(5, "EURUSD", "opened", "sell at 5")]
    found = run_difference(this, other)
    assert found.equal == 1
    assert found.differences == [
        Difference(2, "EURUSD", "closed", "at 2", "at 4", True),
        Difference(3, "GBPUSD", "opened", "buy at 3", None, True),
        Difference(5, "EURUSD", "opened", None, "sell at 5", False),
    ]


def test_the_same_decision_made_twice_differs_from_once() -> None:
    one = Decision(1, "EURUSD", "opened", "buy at 1")
    assert run_difference([one, one], [one]).differences == [Difference(1, "EURUSD", "opened", "buy at 1", None, True)]
