"""May a configuration trade real money? What a journal shows of the days before, as a fold, and the checklist made of it.

Nothing here knows whether the future will be kind: it knows what was tried, and what never was.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    ForeignPositionGone,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    WitnessesDisagree,
)
from evenkeel.messages.operator import KillTrading, TradingRearmed
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.system import Message, MessageParked, RunStarted
from evenkeel.rules.instants import duration_text, utc_text

DAY_MS: Final = 86_400_000
DAYS_MIN: Final = 5
"""Of 24 hours each: a trading week without a break (reliability C45)."""
TRADES_MIN: Final = 20
QUIET_DAYS: Final = 7
DRILL_DAYS_MAX: Final = 7
BACKUP_HOURS_MAX: Final = 24
SILENCE_MS_MAX: Final = 300_000
"""The broker's agreement is confirmed each minute; of a longer silence no more than this counts as served."""
BESIDE_THE_TRADING: Final = (
    *("account", "trading", "attendance", "terminal", "journal", "watchdog", "simulated"),
    *("notifier", "webhooks", "health"),
)
"""Tables of a configuration that do not change what is decided: what was tried with others of them was tried."""
LIMITS_THAT_BOUND: Final = (
    *("risk_per_trade_pct", "loss_at_catastrophe_stop_pct", "order_notional_max", "total_notional_max", "open_risk_pct"),
    *("positions_max", "day_loss_pct", "week_loss_pct", "balance_floor_pct"),
    *("drawdown.close_only_pct", "drawdown.flatten_pct"),
)


class Rehearsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that a person tried and that went well, with words on what it showed. `odd` counts what was not as expected,
    `login` is the broker's account it was tried on; None where it needs none, or was the simulated one."""

    done_utc_ms: int
    words: str
    odd: int = 0
    login: int | None = None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What is known beside the journal. `watched_by` names who starts the supervisor again, "" for nobody."""

    drill: Rehearsed | None
    measured: Rehearsed | None
    backup_utc_ms: int | None
    backup_is_elsewhere: bool
    watched_by: str
    notifier: str


class Past(msgspec.Struct):
    """The fold of a journal. `served_ms` and what follows it are of runs that decided as the configuration does now, those on a
    broker's demo account apart; `logins` are all that the journal was written on, None is the simulated terminal's."""

    runs: int = 0
    served_ms: int = 0
    demo_ms: int = 0
    trades: int = 0
    crashes: list[tuple[int, str]] = []
    unknown: dict[str, int] = {}
    witnesses: dict[int, int] = {}
    disagreed: tuple[int, str] | None = None
    money: tuple[int, str] | None = None
    killed_seq: int = 0
    rearmed_seq: int = 0
    logins: list[int | None] = []
    last_utc_ms: int = 0
    is_same: bool = False
    is_demo: bool = False


class Item(msgspec.Struct, frozen=True):
    """One line of the checklist. Those that are a `must` have to hold, the others a person may accept by `name`."""

    name: str
    must: bool
    holds: bool
    evidence: str
    remedy: str = ""


KINDS: Final[tuple[type[Message], ...]] = (
    *(RunStarted, MessageParked, PositionOpened, PositionClosed, KillTrading, TradingRearmed),
    *(BrokerAgreed, BrokerDisagreed, MoneyAgreed, MoneyDisagreed),
    *(OrderOutcomeUnknown, OrderOutcomeResolved, WitnessesDisagree, ForeignPositionGone),
)
"""What `heard` wants to hear."""


def deciding(config: Config) -> bytes:
    """What of a configuration decides on trades, in one form: equal bytes decide alike."""
    table: dict[str, Any] = msgspec.to_builtins(config)
    return msgspec.json.encode({key: value for key, value in table.items() if key not in BESIDE_THE_TRADING}, order="sorted")


def passed(past: Past, time_utc_ms: int) -> None:
    """A record of this time stands in the journal; to be called for each, in order, after its message was heard."""
    served_ms = min(max(0, time_utc_ms - past.last_utc_ms), SILENCE_MS_MAX) if past.is_same and past.last_utc_ms else 0
    past.served_ms += served_ms
    past.demo_ms += served_ms if past.is_demo else 0
    past.last_utc_ms = time_utc_ms


def ran_with(past: Past, config: Config, wanted: bytes) -> None:
    """The run that has just started was configured like this; `wanted` is `deciding` of the configuration that is judged."""
    login = config.terminal.login if config.terminal.kind == "mt5" else None
    if login not in past.logins:
        past.logins = [*past.logins, login]
    past.is_same = deciding(config) == wanted
    past.is_demo = past.is_same and login is not None and login != config.terminal.real_login
    past.runs += past.is_same


def heard(past: Past, message: Message, seq: int, time_utc_ms: int) -> None:
    """One of KINDS."""
    match message:
        case RunStarted():
            past.is_same, past.is_demo = False, False
            past.last_utc_ms = 0  # the time between two runs was served by nobody
            if message.crashed:
                past.crashes.append((time_utc_ms, f"a start after a crash, record {seq}"))
        case MessageParked():
            past.crashes.append((time_utc_ms, f"{message.child} crashed twice at one message, record {seq}"))
        case PositionOpened():
            past.unknown.pop(message.lineage.proposal_id, None)
            past.witnesses.pop(message.ticket, None)
        case PositionClosed():
            past.trades += past.is_same
        case KillTrading():
            past.killed_seq = seq
        case TradingRearmed():
            past.rearmed_seq, past.money, past.witnesses = seq, None, {}
        case BrokerAgreed():
            past.disagreed = None
        case BrokerDisagreed(detail):
            past.disagreed = (seq, detail)
        case MoneyAgreed():
            past.money = None
        case MoneyDisagreed():
            past.money = (seq, f"{message.measured_cents} cents instead of {message.expected_cents}")
        case OrderOutcomeUnknown():
            past.unknown[message.proposal_id] = seq
        case OrderOutcomeResolved():
            past.unknown.pop(message.proposal_id, None)
        case WitnessesDisagree():
            past.witnesses[message.ticket] = seq
        case ForeignPositionGone():
            past.witnesses.pop(message.ticket, None)
        case _:
            raise AssertionError(f"{type(message).__name__} is not among KINDS")


def checklist(config: Config, past: Past, own_logins: list[int | None], around: Around, now_utc_ms: int) -> list[Item]:
    """`past` is of the account that proves it, `own_logins` are those of the configured account's own journal."""
    return [
        *_terminal(config, own_logins),
        *_limits(config),
        *_tried(past, now_utc_ms),
        *_rehearsed(past, around, now_utc_ms),
        *_looked_after(around, now_utc_ms),
    ]


def _terminal(config: Config, own_logins: list[int | None]) -> list[Item]:
    terminal = config.terminal
    named = terminal.kind == "mt5" and terminal.login is not None and bool(terminal.server)
    told = f'kind = "{terminal.kind}", login = {terminal.login or "none"}, server = {terminal.server or "none"}'
    others = [login for login in own_logins if login != terminal.login]
    written_on = ", ".join("the simulated terminal" if login is None else f"login {login}" for login in others)
    return [
        Item("login", True, named, told, 'in [terminal]: kind = "mt5", and login and server of the real account'),
        Item(
            *("own_journal", True, not others),
            f"account {config.account.name} was run on {written_on}"
            if others
            else f"account {config.account.name} is this one's",
            "give the real account a name of its own in [account], and say --proof NAME of the one that was tried",
        ),
    ]


def _limits(config: Config) -> list[Item]:
    limits: Mapping[str, Any] = msgspec.to_builtins(config.limits)
    off = [path for path in LIMITS_THAT_BOUND if _at(limits, path) == "off"]
    at_broker = config.catastrophe_stop.at_broker
    return [
        Item(
            "profile", True, config.profile != "plain", f'profile = "{config.profile}"', "plain is wide open: personal or prop"
        ),
        Item(
            *("limits", False, not off),
            f"off: {', '.join(off)}" if off else "each limit that bounds a loss is on",
            "remove the line that says off",
        ),
        Item(
            *("stop_at_broker", True, at_broker == "on", f'[catastrophe_stop] at_broker = "{at_broker}"'),
            "without it nothing closes a position when this machine dies",
        ),
    ]


def _at(table: Any, path: str) -> Any:
    for key in path.split("."):
        table = table[key]
    return table


def _tried(past: Past, now_utc_ms: int) -> list[Item]:
    served, demo = past.served_ms / DAY_MS, past.demo_ms / DAY_MS
    since_ms = now_utc_ms - QUIET_DAYS * DAY_MS
    crashes = [words for at, words in past.crashes if at >= since_ms]
    opened = [
        *([f"the broker disagrees since record {past.disagreed[0]}: {past.disagreed[1]}"] if past.disagreed else []),
        *([f"the balance is not explained since record {past.money[0]}: {past.money[1]}"] if past.money else []),
        *(f"nobody knows what became of {name}, record {seq}" for name, seq in past.unknown.items()),
        *(f"nobody knows whose position {ticket} is, record {seq}" for ticket, seq in past.witnesses.items()),
    ]
    same = "what was run with the same strategies and limits counts; run it longer, on a demo account"
    return [
        Item("days", True, served >= DAYS_MIN, f"{served:.1f} days of 24 h in {past.runs} runs, {DAYS_MIN} wanted", same),
        Item("demo", False, demo >= DAYS_MIN, f"{demo:.1f} of them on a broker's demo account, {DAYS_MIN} wanted", same),
        Item("trades", False, past.trades >= TRADES_MIN, f"{past.trades} closed, {TRADES_MIN} wanted", same),
        Item(
            *("explained", True, not opened, "; ".join(opened) or "every order, position and cent has its explanation"),
            "evenkeel why seq N; then resolve it, or rearm",
        ),
        Item(
            *("crashes", False, not crashes, "; ".join(crashes) or f"none in {QUIET_DAYS} days"),
            "evenkeel why crash; wait until it is a week ago",
        ),
    ]


def _rehearsed(past: Past, around: Around, now_utc_ms: int) -> list[Item]:
    drill, measured = around.drill, around.measured
    is_recent = drill is not None and now_utc_ms - drill.done_utc_ms <= DRILL_DAYS_MAX * DAY_MS
    was_killed = 0 < past.killed_seq < past.rearmed_seq
    is_measured = measured is not None and measured.login is not None
    odd = "not known" if measured is None else f"{measured.odd} of the broker's ways differ from what is assumed"
    return [
        Item(
            *("kill", True, was_killed),
            f"killed at record {past.killed_seq}, rearmed at {past.rearmed_seq}" if was_killed else "never killed and rearmed",
            "evenkeel kill, look, then evenkeel rearm, on the account that is tried",
        ),
        Item("drill", True, is_recent, _told(drill), f"evenkeel drill; it counts for {DRILL_DAYS_MAX} days"),
        Item("measured", True, is_measured, _told(measured), "evenkeel doctor --measure SYMBOL, on a demo account"),
        Item("assumptions", False, measured is not None and not measured.odd, odd, "read what evenkeel doctor --measure found"),
    ]


def _told(rehearsed: Rehearsed | None) -> str:
    return "never done" if rehearsed is None else f"{utc_text(rehearsed.done_utc_ms)}: {rehearsed.words}"


def _looked_after(around: Around, now_utc_ms: int) -> list[Item]:
    taken = around.backup_utc_ms
    is_fresh = taken is not None and now_utc_ms - taken <= BACKUP_HOURS_MAX * 3_600_000
    age = "there is none" if taken is None else f"the newest is {duration_text(max(0, now_utc_ms - taken))} old"
    elsewhere = "on another disk" if around.backup_is_elsewhere else "on the disk of the journal itself, or none"
    return [
        Item("backup", True, is_fresh, age, "evenkeel backup; [journal] backup_every_h does it by itself"),
        Item("other_disk", False, around.backup_is_elsewhere, elsewhere, "[journal] backup_folder on another disk"),
        Item(
            *("watched", False, bool(around.watched_by), around.watched_by or "nobody starts it again when it dies"),
            "evenkeel watchdog instead of run, or evenkeel service install",
        ),
        Item("notifier", False, bool(around.notifier), around.notifier or "nobody is told", "[notifier] in the configuration"),
    ]
