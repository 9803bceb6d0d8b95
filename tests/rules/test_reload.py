"""What a change of each key takes, which way of each limit is the stricter one, and what is in force after a lowering."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
import pytest

from evenkeel.config.findings import structs_of
from evenkeel.config.load import load
from evenkeel.config.locate import KeyPath
from evenkeel.config.schema import Config
from evenkeel.rules.reload import RULES, Change, InForce, Kind, changes, lowered, lowering, rule_of

BEFORE = load(None)


def keys_of(kind: Any, at: KeyPath) -> Iterator[KeyPath]:
    """Every key that the schema has; in place of a name of one's own choice stands NAME."""
    if get_origin(kind) is dict:
        yield from keys_of(get_args(kind)[1], (*at, "NAME"))
    elif structs := structs_of(kind):
        for field in (field for struct in structs for field in msgspec.structs.fields(struct)):
            yield from keys_of(field.type, (*at, field.encode_name))
    else:
        yield at


KEYS = sorted(set(keys_of(Config, ())))
LIMITS = [key for key in KEYS if key[0] == "limits"]


def kinds_of(**overrides: object) -> dict[str, Kind]:
    changed = load(None, overrides={key.replace("__", "."): value for key, value in overrides.items()})
    return {change.key: change.kind for change in changes(BEFORE, changed)}


def test_every_key_of_the_schema_says_what_a_change_of_it_takes() -> None:
    assert [".".join(key) for key in KEYS if rule_of(key) is None] == []


def test_every_rule_is_of_a_key_or_a_table_of_the_schema() -> None:
    there = {".".join(key[:length]) for key in KEYS for length in range(1, len(key) + 1)}
    assert [key for key in RULES if key not in there] == []


def test_a_limit_has_a_rule_of_its_own_or_of_its_own_table_so_that_a_new_one_is_thought_of() -> None:
    assert "limits" not in RULES
    assert {".".join(key[:2]) for key in LIMITS} <= set(RULES) | {"limits.rejects", "limits.loss_tiers"}


@pytest.mark.parametrize(
    "key, stricter, laxer",
    [
        ("limits.positions_max", 4, 6),
        ("limits.risk_per_trade_pct", 0.4, 0.6),
        ("limits.free_margin_after_pct", 60.0, 40.0),
        ("limits.margin_level.warn_pct", 250.0, "off"),
        ("limits.drawdown.reduce_to_ratio", 0.7, 0.8),
        ("limits.consecutive_losses.hold_hours", 8.0, 5.0),
        ("limits.confidence_min", 0.8, 0.6),
        ("limits.session.friday_before_close_minutes", 90.0, 0.0),
        ("limits.rejects.in_a_row_max", 4, "off"),
        ("limits.rejects.hold_minutes", 6.0, 4.0),
        ("limits.loss_tiers.applies_to", "all", "off"),
        ("limits.loss_tiers.day", [100, 200, 400, 1000, 2000], [50, 200, 500, 1000, 3000]),
        ("entry.cooldown_minutes", 20.0, 10.0),
        ("entry.spread_multiple_max", 2.0, "off"),
    ],
)
def test_a_stricter_limit_is_free_and_a_laxer_one_a_segment_after_which_a_person_starts(
    key: str, stricter: object, laxer: object
) -> None:
    assert kinds_of(**{key: stricter}) == {key: Kind.FREE}
    assert kinds_of(**{key: laxer}) == {key: Kind.RAISE}


def test_from_off_every_number_is_stricter() -> None:
    before = load(None, overrides={"limits.positions_max": "off", "limits.balance_floor_pct": "off"})
    assert {change.kind for change in changes(before, BEFORE)} == {Kind.FREE}


@pytest.mark.parametrize(
    "key, value, kind",
    [
        ("exit.time_stop_minutes", 60, Kind.SEGMENT),
        ("entry.volume_lots", 0.5, Kind.SEGMENT),
        ("trading.enabled", True, Kind.SEGMENT),
        ("limits.requests.close_per_s", 5, Kind.SEGMENT),
        ("limits.slippage_points", 10, Kind.RAISE),
        ("limits.quote_age_s_max", 4, Kind.SEGMENT),
        ("limits.quote_age_s_max", 6, Kind.RAISE),
        ("circuit_breaker.enabled", False, Kind.RAISE),
        ("catastrophe_stop.at_broker", "off", Kind.RAISE),
        ("account.name", "other", Kind.NEVER),
        ("account.currency", "EUR", Kind.NEVER),
        ("terminal.login", 7, Kind.NEVER),
        ("symbols", {"EURUSD": {"digits": 5}}, Kind.NEVER),
        ("journal.backup_folder", "/elsewhere", Kind.NEVER),
    ],
)
def test_what_is_no_limit_has_one_class_whichever_way_it_goes(key: str, value: object, kind: Kind) -> None:
    assert {one for name, one in kinds_of(**{key: value}).items() if name.startswith(key)} == {kind}


def test_what_is_never_changed_says_why() -> None:
    (change,) = changes(BEFORE, load(None, overrides={"account.leverage": 50}))
    assert change == Change("account.leverage", 100, 50, Kind.NEVER, "another account is another journal: stop and start")


def test_a_strategy_that_comes_is_told_key_by_key() -> None:
    with_one = load(None, overrides={"strategy": {"trend": {"kind": "ma_cross", "fast": 5}}})
    told = {change.key: (change.old, change.new, change.kind) for change in changes(BEFORE, with_one)}
    assert told["strategy.trend.fast"] == (None, 5, Kind.SEGMENT)


def test_a_profile_is_compared_limit_by_limit() -> None:
    """prop is stricter than personal in all but the tiers of losses, which it has off."""
    to_prop = kinds_of(profile="prop")
    assert {key for key, kind in to_prop.items() if kind is not Kind.FREE} == {"limits.loss_tiers.applies_to"}


def test_a_lowering_is_what_it_takes_from_one_configuration_to_the_other() -> None:
    after = load(None, overrides={"limits.positions_max": 2, "limits.drawdown.flatten_pct": 14, "limits.week_loss_pct": 9})
    said = lowering(BEFORE, after)
    assert said == '{"limits.drawdown.flatten_pct":14.0,"limits.positions_max":2}'
    then = lowered(BEFORE, said)
    assert (then.limits.positions_max, then.limits.drawdown.flatten_pct, then.limits.week_loss_pct) == (2, 14.0, 6.0)
    assert lowering(then, after) == ""


def test_a_lowering_makes_nothing_laxer_and_leaves_what_it_does_not_know() -> None:
    strict = load(None, overrides={"limits.positions_max": 1})
    assert lowered(strict, '{"limits.positions_max":2,"limits.of_tomorrow":3,"exit.retry_min_s":9}') == strict


def test_what_is_in_force_is_made_once_for_each_lowering() -> None:
    in_force = InForce(BEFORE)
    assert in_force.at("") is BEFORE
    once = in_force.at('{"limits.positions_max":2}')
    assert once.limits.positions_max == 2
    assert in_force.at('{"limits.positions_max":2}') is once
    assert in_force.at("") == BEFORE
