"""What may be changed while a run goes on, by key of the configuration: one table, and the arithmetic of "stricter".

A limit that becomes stricter is free. Everything else that may change is a new segment of the run, and what makes a guard or a
limit laxer, or may, leaves entries closed until a person starts. The rest is what the process, or another one, stands on.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from evenkeel.config.findings import dotted
from evenkeel.config.locate import KeyPath
from evenkeel.config.schema import Config

OFF: Final = "off"
WORDS: Final = (OFF, "chains", "all")
"""Of limits.loss_tiers.applies_to, the strictest last."""
CHANGES_TOLD: Final = 100
PROBLEMS_TOLD: Final = 100
PROBLEM_CHARACTERS: Final = 300
"""An answer must fit into one frame of the control channel."""


class Kind(StrEnum):
    """What a change takes. RAISE is a segment after which a person has to start again."""

    FREE = "free"
    SEGMENT = "segment"
    RAISE = "raise"
    NEVER = "never"


class Rule(NamedTuple):
    """`sign` is -1 where less is stricter, 1 where more is, 0 where nothing tells; then every change is of `kind`. What is
    stricter is of the kind `stricter`."""

    kind: Kind
    sign: int = 0
    why: str = ""
    stricter: Kind = Kind.FREE


LESS: Final = Rule(Kind.RAISE, -1)
LESS_AT_EDGES: Final = Rule(Kind.RAISE, -1, stricter=Kind.SEGMENT)
"""Edges hold it too, which hear of no lowering."""
MORE: Final = Rule(Kind.RAISE, 1)
SEGMENT: Final = Rule(Kind.SEGMENT)
GUARD: Final = Rule(Kind.RAISE)

RULES: Final[Mapping[str, Rule]] = {
    "profile": SEGMENT,  # never by itself: what it decides is compared limit by limit
    "account": Rule(Kind.NEVER, why="another account is another journal: stop and start"),
    "terminal": Rule(Kind.NEVER, why="the terminal's own process stands on it: stop and start"),
    "symbols": Rule(Kind.NEVER, why="the terminal's own process stands on it: stop and start"),
    "simulated": Rule(Kind.NEVER, why="the simulated terminal stands on it: stop and start"),
    "watchdog": Rule(Kind.NEVER, why="evenkeel watchdog stands on it: stop and start that one"),
    "health": SEGMENT,
    "journal": SEGMENT,
    "journal.backup_folder": Rule(Kind.NEVER, why="the backups of this account lie there: stop and start"),
    "notifier": SEGMENT,
    "webhooks": SEGMENT,
    "notifier.outlet": GUARD,
    "trading_calendar": Rule(Kind.NEVER, why="the journal's days and the losses of this one stand on it: stop and start"),
    "trading": SEGMENT,
    "strategy": SEGMENT,
    "exit": SEGMENT,
    "entry": SEGMENT,
    "entry.cooldown_minutes": MORE,
    "entry.spread_multiple_max": LESS,
    "entry.spread_points_floor": LESS,
    "recovery": SEGMENT,
    "dual_orders": SEGMENT,
    "profit_booking": SEGMENT,
    "shield": GUARD,
    "catastrophe_stop": GUARD,
    "circuit_breaker": GUARD,
    "attendance": GUARD,
    "protection": GUARD,
    "broker_gateway": GUARD,
    "limits.risk_per_trade_pct": LESS,
    "limits.loss_at_catastrophe_stop_pct": LESS,
    "limits.volume_lots_max": LESS,
    "limits.order_notional_max": LESS,
    "limits.symbol_notional_max": LESS,
    "limits.total_notional_max": LESS,
    "limits.correlated_risk_pct": LESS,
    "limits.open_risk_pct": LESS,
    "limits.free_margin_after_pct": MORE,
    "limits.margin_level": MORE,
    "limits.positions_max": LESS,
    "limits.per_symbol_slots": LESS,
    "limits.trades_per_day": LESS,
    "limits.trades_per_hour": LESS,
    "limits.trades_limit_days_max": LESS,
    "limits.day_loss_pct": LESS,
    "limits.day_loss_soft_pct": LESS,
    "limits.week_loss_pct": LESS,
    "limits.drawdown": LESS,
    "limits.consecutive_losses": LESS,
    "limits.consecutive_losses.hold_hours": MORE,
    "limits.balance_floor_pct": MORE,
    "limits.confidence_min": MORE,
    "limits.quote_age_s_max": LESS_AT_EDGES,
    "limits.quote_age_others_s_max": LESS_AT_EDGES,
    "limits.intent_expiry_s": LESS,
    "limits.slippage_points": GUARD,  # less lets fewer fills through and reserves less for each: neither way is stricter
    "limits.slippage": LESS,
    "limits.slippage.within_minutes": MORE,
    "limits.slippage.hold_minutes": MORE,
    "limits.rejects.in_a_row_max": LESS,
    "limits.rejects": MORE,
    "limits.requests": LESS,
    "limits.requests.close_per_s": SEGMENT,  # it spaces exits
    "limits.session": MORE,
    "limits.recovery_attempts": LESS,
    "limits.recovery_losses": LESS,
    "limits.recovery_concurrent": LESS,
    "limits.recovery_pause_hours": MORE,
    "limits.profit_protection": LESS,
    "limits.chain_risk_budget_r": LESS,
    "limits.chain_risk_budget_hedged_r": LESS,
    "limits.loss_tiers": LESS,
    "limits.loss_tiers.applies_to": MORE,
}
"""By key or table; the longest that fits counts. A limit stands here by itself, for each has a direction of its own."""


class Change(msgspec.Struct, frozen=True):
    """`old` and `new` are as in the file; null where the key is absent. `why` says why it is never changed in a run."""

    key: str
    old: Any
    new: Any
    kind: Kind
    why: str = ""


class Outcome(StrEnum):
    """Of what a person asked. LEFT: some of it needs more than was asked for, what was free is in force; SEGMENT: it begins.
    REFUSED and INVALID: nothing has changed."""

    NOTHING = "nothing"
    LOOKED = "looked"
    LOWERED = "lowered"
    LEFT = "left"
    SEGMENT = "segment"
    REFUSED = "refused"
    INVALID = "invalid"


class Answer(msgspec.Struct, frozen=True):
    """`changes` are no more than CHANGES_TOLD, `more` is how many were left out. `problems` is a line each."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    more: int = 0


def answer(outcome: Outcome, found: Sequence[Change] = (), problems: Sequence[str] = ()) -> Answer:
    cut = [text if len(text) <= PROBLEM_CHARACTERS else f"{text[:PROBLEM_CHARACTERS]}..." for text in problems[:PROBLEMS_TOLD]]
    more = max(0, len(found) - CHANGES_TOLD)
    return Answer(outcome, tuple(found[:CHANGES_TOLD]), tuple(cut), more)


def rule_of(path: KeyPath) -> Rule | None:
    """None: nobody has said what a change of that key takes."""
    return next((RULES[key] for key in (".".join(path[:length]) for length in range(len(path), 0, -1)) if key in RULES), None)


def changes(before: Config, after: Config) -> list[Change]:
    """What differs, in the order of the schema. A profile is nothing in itself: what it decides is compared limit by limit."""
    old, new = dict(_leaves(msgspec.to_builtins(before))), dict(_leaves(msgspec.to_builtins(after)))
    found = []
    for path in dict.fromkeys((*old, *new)):
        was, is_now = old.get(path), new.get(path)
        if was != is_now and path != ("profile",):
            rule = rule_of(path)
            assert rule is not None, f"no rule says what a change of {dotted(path)} takes"
            kind = rule.stricter if rule.sign and is_as_strict(rule, was, is_now) else rule.kind
            found.append(Change(dotted(path), was, is_now, kind, rule.why))
    return found


def is_as_strict(rule: Rule, before: Any, after: Any) -> bool:
    """`after` lets nothing through that `before` does not; "off" is no limit at all."""
    if isinstance(before, Sequence) and not isinstance(before, str):
        return len(before) == len(after) and all(
            is_as_strict(rule, was, is_now) for was, is_now in zip(before, after, strict=True)
        )
    if before in (after, OFF):
        return True
    if after == OFF:
        return False
    if before in WORDS:
        before, after = WORDS.index(before), WORDS.index(after)
    return bool(rule.sign * (after - before) > 0)


def lowering(before: Config, after: Config) -> str:
    """What makes `after` stricter, as LimitsLowered says it: JSON by dotted key, the keys sorted; "" for nothing."""
    free = {change.key: change.new for change in changes(before, after) if change.kind is Kind.FREE}
    return msgspec.json.encode(free, order="sorted").decode() if free else ""


def lowered(config: Config, lowering: str) -> Config:
    """`config` with what `lowering` says, as far as that is stricter; keys that are unknown here are left out."""
    if not lowering:
        return config
    table = msgspec.to_builtins(config)
    for key, value in msgspec.json.decode(lowering, type=dict[str, Any]).items():
        *above, name = key.split(".")
        rule, here = rule_of((*above, name)), table
        for part in above:
            here = here.get(part, {})
        if rule is not None and rule.sign and name in here and is_as_strict(rule, here[name], value):
            here[name] = value
    return msgspec.convert(table, Config)


class InForce:
    """The configuration that a run opened with, and what is in force of it; made anew only when something was lowered."""

    def __init__(self, config: Config) -> None:
        self._opened_with = self._in_force = config
        self._lowering = ""

    def at(self, lowering: str) -> Config:
        if lowering != self._lowering:
            self._lowering, self._in_force = lowering, lowered(self._opened_with, lowering)
        return self._in_force


def _leaves(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*at, key))
    else:
        yield at, value
