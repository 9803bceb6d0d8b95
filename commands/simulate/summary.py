"""What many worlds came to, for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from evenkeel.adapters.build import build_id
from evenkeel.commands.simulate.faults import FAULTS
from evenkeel.commands.simulate.invariants import INVARIANTS
from evenkeel.commands.simulate.many import Ended
from evenkeel.commands.simulate.plan import Outcome, Plan

FAILURES_TOLD = 20


class Failure(msgspec.Struct, frozen=True):
    """A promise broken in a world, and the command that shows it again."""

    seed: int
    invariant: str
    utc_ms: int
    detail: str
    command: str


class Judged(msgspec.Struct, frozen=True):
    checked: int
    broken: int
    worlds_broken: int


class Control(msgspec.Struct, frozen=True):
    """`worlds_that_doubled` is how many of the `worlds` showed an order that opened more than one position."""

    worlds: int
    worlds_that_doubled: int
    duplicates: int
    unknown_outcomes: int


class Summary(msgspec.Struct, frozen=True):
    version: int
    build: str
    first_seed: int
    worlds: int
    account_days: float
    account_days_per_cpu_minute: float
    faults: dict[str, int]
    invariants: dict[str, Judged]
    counts: dict[str, int]
    control: Control
    failures: tuple[Failure, ...]
    is_good: bool
    v: int = 1


def summary_of(worlds: Iterable[Ended]) -> Summary:
    ended = list(worlds)
    judged = [one.outcome for one in ended if not one.outcome.plan.is_control]
    control = _control([one.outcome for one in ended if one.outcome.plan.is_control])
    account_days = sum(one.plan.hours for one in judged) / 24
    cpu_minutes = sum(one.cpu_s for one in ended if not one.outcome.plan.is_control) / 60
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for one in judged:
        faults.update(one.faults)
        counts.update(one.counts)
    failures = tuple(
        Failure(one.plan.seed, told.invariant, told.utc_ms, told.detail, command_for(one.plan))
        for one in judged
        for told in one.breaks
    )
    return Summary(
        version=1,
        build=build_id(),
        first_seed=min((one.plan.seed for one in judged), default=0),
        worlds=len(judged),
        account_days=round(account_days, 3),
        account_days_per_cpu_minute=round(account_days / max(cpu_minutes, 1e-9), 2),
        faults={name: faults[name] for name in FAULTS},
        invariants={name: _judged(judged, name) for name in INVARIANTS},
        counts=dict(sorted(counts.items())),
        control=control,
        failures=failures,
        is_good=not any(one.broken for one in judged) and 0 < control.worlds == control.worlds_that_doubled,
    )


def command_for(plan: Plan) -> str:
    """Runs that one world again."""
    return (
        f"evenkeel simulate --account-days {plan.hours / 24!r} --seeds 1 --first-seed {plan.seed}"
        f" --quote-every-s {plan.quote_every_ms / 1000:g}"
    )


def as_json(summary: Summary) -> bytes:
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


def told(summary: Summary) -> str:
    """The summary in lines of words and numbers."""
    counts = summary.counts
    lines = [
        f"{summary.worlds} worlds from seed {summary.first_seed}, {summary.account_days:g} account-days, build {summary.build}",
        f"  {summary.account_days_per_cpu_minute:g} account-days a CPU-minute",
        f"  {counts.get('positions', 0)} positions, {counts.get('opens sent', 0)} opens sent, "
        f"{counts.get('unknown outcomes', 0)} unknown outcomes, {counts.get('deaths', 0)} deaths of the supervisor, "
        f"{counts.get('hosts died', 0)} of the terminal host, {counts.get('children struck', 0)} of children",
        "",
        f"faults: {sum(summary.faults.values())}",
        *(f"  {name:4} {count:>9}  {FAULTS[name].words}" for name, count in summary.faults.items()),
        "",
        "promises                                            checked    broken",
        *(_line(name, one) for name, one in summary.invariants.items()),
        "",
        _of_control(summary.control),
    ]
    for failure in summary.failures[:FAILURES_TOLD]:
        lines += ["", f"seed {failure.seed}: {failure.invariant} at {failure.utc_ms}: {failure.detail}", f"  {failure.command}"]
    if len(summary.failures) > FAILURES_TOLD:
        lines += ["", f"and {len(summary.failures) - FAILURES_TOLD} more"]
    lines += ["", "every promise was kept" if summary.is_good else "NOT GOOD: see above"]
    return "\n".join(lines)


def _line(name: str, judged: Judged) -> str:
    return f"  {name:4} {INVARIANTS[name][:68]:68} {judged.checked:>10} {judged.broken:>6}"


def _of_control(control: Control) -> str:
    if not control.worlds:
        return "control: none, so the worlds prove nothing"
    verdict = "as it must" if control.worlds_that_doubled == control.worlds else "NOT AS IT MUST: the worlds prove nothing"
    return (
        f"control (no gate, sends again what had no reply): {control.worlds_that_doubled} of {control.worlds} worlds "
        f"opened positions twice, {control.duplicates} orders doubled: {verdict}"
    )


def _judged(outcomes: Sequence[Outcome], name: str) -> Judged:
    return Judged(
        checked=sum(one.checked.get(name, 0) for one in outcomes),
        broken=sum(one.broken.get(name, 0) for one in outcomes),
        worlds_broken=sum(1 for one in outcomes if one.broken.get(name, 0)),
    )


def _control(outcomes: Sequence[Outcome]) -> Control:
    return Control(
        worlds=len(outcomes),
        worlds_that_doubled=sum(1 for one in outcomes if one.counts.get("duplicates", 0)),
        duplicates=sum(one.counts.get("duplicates", 0) for one in outcomes),
        unknown_outcomes=sum(one.counts.get("unknown outcomes", 0) for one in outcomes),
    )
