"""`evenkeel status`: how is the supervisor doing? Starts in a blink: nothing heavy is imported on its way.

Asks the supervisor; when that does not answer, the view database tells how things were when it last looked.
"""

import argparse
import collections
import sys
from typing import Final, Literal, NamedTuple

import msgspec

from evenkeel.adapters.control_channel import Ask, NoAnswer, NotRunning, NotTheSupervisor, Told, ask
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.watchdog_report import WatchdogReport, read_report
from evenkeel.commands import exit_codes
from evenkeel.rules.instants import utc_text
from evenkeel.runtime.clock import SystemClock

ANSWER_S: Final = 2.0

Supervisor = Literal["answers", "not_running", "hangs", "failed"]
EXIT_CODES: Final[dict[Supervisor, int]] = {
    "answers": exit_codes.OK,
    "not_running": exit_codes.NOT_RUNNING,
    "hangs": exit_codes.OUTCOME_UNKNOWN,
    "failed": exit_codes.FAILED,
}


class Seen(NamedTuple):
    """A view as JSON, None where there is none, and whether it is the supervisor's answer; `why` it is not, else "".

    `watchdog` is what that is doing, None where there is none, or where nobody needs to ask it.
    """

    supervisor: Supervisor
    view: bytes | None
    why: str
    watchdog: WatchdogReport | None = None


class StatusReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `view` is rules.view.View as it was written `age_ms` ago, null where there is none."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    view: msgspec.Raw | None
    v: int = 1
    watchdog: WatchdogReport | None = None


class _Account(msgspec.Struct):
    balance_cents: int
    equity_cents: int
    currency: str
    currency_digits: int


class _Hold(msgspec.Struct):
    who: str
    scope: str
    reason: str
    until_utc_ms: int


class _Flattening(msgspec.Struct):
    scope: str
    tickets: list[int]


class _Unprotected(msgspec.Struct):
    ticket: int
    symbol: str
    gap: str


class _Child(msgspec.Struct):
    name: str
    serving: bool


class _Chain(msgspec.Struct):
    state: str


class _Shield(msgspec.Struct):
    symbol: str
    direction: str
    reason: str
    until_utc_ms: int


class _Breaker(msgspec.Struct):
    scope: str
    level: str
    phase: int
    reason: str


class _Recoveries(msgspec.Struct):
    attempts: int = 0
    successes: int = 0
    failures: int = 0
    profit_booked_cents: int = 0
    losses_cents: int = 0


class _Check(msgspec.Struct):
    check: str
    scope: str
    state: str
    detail: str


class Glance(msgspec.Struct):
    """The little of a View that is printed here. Importing the whole would cost a third of the time that `status` has."""

    v: Literal[1]
    written_utc_ms: int
    mode: str
    agreed: bool
    trading_day: str
    account: _Account | None
    positions: list[msgspec.Raw]
    foreign: list[msgspec.Raw]
    unknown_orders: list[msgspec.Raw]
    holds: list[_Hold]
    children: list[_Child]
    stale: list[str]
    flattening: list[_Flattening] = []
    unprotected: list[_Unprotected] = []
    taken_over: list[str] = []
    chains: list[_Chain] = []
    chains_more: int = 0
    shields: list[_Shield] = []
    breakers: list[_Breaker] = []
    recoveries: _Recoveries = msgspec.field(default_factory=_Recoveries)
    health: list[_Check] = []
    outlets: list[str] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """0 when the supervisor answered, 3 when none runs, 5 when it hangs; the last known view is printed in any case."""
    try:
        seen = look(arguments.account)
        glance = None if seen.view is None else msgspec.json.decode(seen.view, type=Glance)
    except StateError as error:
        print(f"status: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except msgspec.DecodeError as error:
        print(f"status: the view is not of this version of evenkeel: {error}", file=sys.stderr)
        return exit_codes.FAILED
    age_ms = None if glance is None else SystemClock().now_utc_ms() - glance.written_utc_ms
    if arguments.json:
        view = None if seen.view is None else msgspec.Raw(seen.view)
        print(msgspec.json.encode(StatusReport(seen.supervisor, seen.why, age_ms, view, watchdog=seen.watchdog)).decode())
    elif glance is not None:
        from evenkeel.commands.tables import folded

        gone = [f"supervisor {seen.supervisor.replace('_', ' ')}; what follows is the last that it told"]
        heard = [] if seen.supervisor == "answers" else gone
        print(folded("\n".join([*heard, *_lines(glance), f"view       {(age_ms or 0) / 1000:.1f} s old"]), indent=11))
    if not arguments.json and seen.supervisor != "answers" and (report := seen.watchdog) is not None:
        print(f"watchdog   {report.state} since {utc_text(report.since_utc_ms)}: {report.words}")
    if seen.why:
        from evenkeel.commands.tables import folded

        print(folded(f"status: {seen.why}", stream=sys.stderr), file=sys.stderr)
    return EXIT_CODES[seen.supervisor]


def look(account: str) -> Seen:
    """The supervisor's view, else the last one that it wrote down. Raises StateError for a name that is none."""
    folder = StateFolder(state_root(), account)
    try:
        reply = ask(folder.endpoint, Ask("status"), ANSWER_S)
    except (NotRunning, NotTheSupervisor) as error:
        return _looked_up(folder, "not_running", str(error))
    except NoAnswer as error:
        return _looked_up(folder, "hangs", f"the supervisor hangs: {error}")
    match reply:
        case Told(body):
            return Seen("answers", body, "")
        case _:
            return _looked_up(folder, "failed", f"the supervisor answered {reply!r}")


def _looked_up(folder: StateFolder, supervisor: Supervisor, why: str) -> Seen:
    watchdog = read_report(folder.watchdog)
    if not folder.view.is_dir():
        return Seen(supervisor, None, f"{why}; it has left no view", watchdog)
    from evenkeel.adapters.view import ViewError, read_view  # LMDB, only when it is needed

    try:
        view = read_view(folder.view)
    except ViewError as error:
        return Seen(supervisor, None, f"{why}; nor can its last view be read: {error}", watchdog)
    return Seen(supervisor, view, f"{why}; this is its last view" if view else f"{why}; it has left no view", watchdog)


def _lines(glance: Glance) -> list[str]:
    agreed = "the broker agrees" if glance.agreed else "the broker does not agree yet"
    lines = [f"mode       {glance.mode}, {agreed}", f"day        {glance.trading_day or 'none yet'}"]
    if glance.account is not None:
        lines.append(f"equity     {_money(glance.account.equity_cents, glance.account)}")
        lines.append(f"balance    {_money(glance.account.balance_cents, glance.account)}")
    lines.append(f"positions  {len(glance.positions)}" + (f", {len(glance.foreign)} not ours" if glance.foreign else ""))
    if glance.unknown_orders:
        lines.append(f"unknown    {len(glance.unknown_orders)} orders of which nobody knows whether they were executed")
    for one in glance.flattening:
        left = f"still open: {' '.join(map(str, one.tickets))}" if one.tickets else "nothing is seen open, not yet twice"
        lines.append(f"flattening {one.scope}, {left}")
    lines += [f"in danger  position {one.ticket} in {one.symbol}: {one.gap.replace('_', ' ')}" for one in glance.unprotected]
    lines += [f"taken over {symbol}: the broker holds its stops until a rearm" for symbol in glance.taken_over]
    lines += _chain_lines(glance)
    for hold in glance.holds:
        until = f"until {utc_text(hold.until_utc_ms)}" if hold.until_utc_ms else "until rearm"
        lines.append(f"hold       {hold.scope} {until}: {hold.who}: {hold.reason}")
    if glance.outlets is not None:
        told = f"by {' '.join(glance.outlets)}" if glance.outlets else "nobody: no [notifier.outlet.NAME] is configured"
        lines.append(f"tells      {told}")
    lines += [f"down       {child.name}" for child in glance.children if not child.serving]
    return [*lines, *(f"no quotes  {symbol}" for symbol in glance.stale), *_health_lines(glance)]


def _health_lines(glance: Glance) -> list[str]:
    """What alarms; the rest is in `evenkeel health`."""
    if not glance.health:
        return ["health     nobody looks after it"]
    alarms = [one for one in glance.health if one.state == "alarm"]
    unknown = sum(one.state == "unknown" for one in glance.health)
    if not alarms:
        return ["health     " + (f"well so far, {unknown} checks cannot tell yet" if unknown else "well")]
    of = [f"{one.check.replace('_', ' ')} {one.scope}".strip() for one in alarms]
    return [f"alarm      {what}: {one.detail}" for what, one in zip(of, alarms, strict=True)]


def _chain_lines(glance: Glance) -> list[str]:
    lines = []
    if glance.chains:
        states = collections.Counter(chain.state for chain in glance.chains)
        told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items())
        more = f", and {glance.chains_more} older ones" if glance.chains_more else ""
        lines.append(f"chains     {told}{more}")
    today = glance.recoveries
    if glance.account is not None and today != _Recoveries():
        lost, booked = (_money(cents, glance.account) for cents in (today.losses_cents, today.profit_booked_cents))
        tried = f"{today.attempts} tried, {today.successes} won, {today.failures} lost ({lost})"
        lines.append(f"recoveries {tried}; {booked} booked")
    for shield in glance.shields:
        until = utc_text(shield.until_utc_ms)
        lines.append(f"shield     against {shield.direction} of {shield.symbol} until {until}: {shield.reason}")
    for breaker in glance.breakers:
        phase = f", phase {breaker.phase} of the restart" if breaker.phase else ""
        lines.append(f"breaker    {breaker.scope} {breaker.level}{phase}: {breaker.reason}")
    return lines


def _money(cents: int, account: _Account) -> str:
    return f"{cents / 10**account.currency_digits:,.{account.currency_digits}f} {account.currency}"
