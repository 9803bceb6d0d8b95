import msgspec
import pytest
from builders import config_of
from orders import SPEC, seen

from evenkeel.messages.market import Direction
from evenkeel.rules.adoption import NO_PLAN, Plan, adoption_refusal, plan_for

CONFIG = config_of()
WITHOUT = config_of(catastrophe_stop__at_broker="off")
GUARDS = ("risk_limit", "position/EURUSD")


@pytest.mark.parametrize(
    "direction, atr_points, plan",
    [
        (Direction.BUY, 700, Plan(109_960, 109_660)),
        (Direction.SELL, 700, Plan(110_060, 110_360)),
        (Direction.BUY, None, Plan(109_960, 109_910)),
    ],
)
def test_it_gets_the_configured_stop_and_the_catastrophe_stop_of_an_entry(direction, atr_points, plan):
    assert plan_for(CONFIG, seen(direction=direction), SPEC, atr_points) == plan


def test_where_the_stop_at_the_broker_is_off_by_name_it_gets_none():
    assert plan_for(WITHOUT, seen(), SPEC, 700) == Plan(109_960, 0)


@pytest.mark.parametrize("spec", [None, msgspec.structs.replace(SPEC, spec_id=2)])
def test_without_the_terms_that_its_prices_are_in_there_is_no_plan(spec):
    assert plan_for(CONFIG, seen(), spec, 700) == NO_PLAN


def refusal(**changed: object) -> str | None:
    asked = {"ticket": 7, "seen": seen(7), "ours": (), "orders": (), "specs": {"EURUSD": SPEC}, "guards": GUARDS}
    return adoption_refusal(**{**asked, **changed})


def test_a_foreign_position_of_a_symbol_that_is_managed_may_be_adopted():
    assert refusal() is None


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"ours": (7,)}, "position 7 is ours already"),
        ({"orders": (7,), "seen": None}, "7 is an order that waits at the broker, not a position yet"),
        ({"seen": None}, "the broker shows no position 7"),
        (
            {"guards": ("risk_limit",)},
            "position 7 is in EURUSD, which nobody here manages: name it in the configuration first",
        ),
        ({"specs": {}}, "the terms of EURUSD are not known yet: try again in a moment"),
    ],
)
def test_everything_else_is_refused_in_clear_words(changed, why):
    assert refusal(**changed) == why
