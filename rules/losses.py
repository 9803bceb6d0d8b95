"""What equity and closed trades have done, and how far each may fall (limits.md): day, week, peak, floor, trades in a row.

Reached counts from the limit on, and a limit that is "off" needs no number.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from evenkeel.config.limits import ConsecutiveLossesConfig, DrawdownConfig, LimitsConfig
from evenkeel.config.units import Off
from evenkeel.rules.sizing import PPM, ppm_of, ppm_of_pct, share_of

SOFT_DAY_LOSS_SIZE_PPM: Final = PPM // 2


class EquityMarks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last equity sample, the bases of day and week, and the peak; None before the first sample."""

    equity_cents: int | None = None
    day_base_cents: int | None = None
    peak_cents: int | None = None
    week_base_cents: int | None = None


class DrawdownStep(IntEnum):
    NONE = 0
    REDUCE = 1
    HALVE = 2
    CLOSE_ONLY = 3
    FLATTEN = 4


class Fall(NamedTuple):
    """How far equity is below a mark, and how far it may be."""

    cents: int
    limit_cents: int


def sampled(marks: EquityMarks, equity_cents: int) -> EquityMarks:
    """The first sample is every base that is still missing."""
    return EquityMarks(
        equity_cents=equity_cents,
        day_base_cents=equity_cents if marks.day_base_cents is None else marks.day_base_cents,
        peak_cents=equity_cents if marks.peak_cents is None else max(marks.peak_cents, equity_cents),
        week_base_cents=equity_cents if marks.week_base_cents is None else marks.week_base_cents,
    )


def at_day_start(marks: EquityMarks) -> EquityMarks:
    """The new day is measured from the last sample; without one from the first to come."""
    return msgspec.structs.replace(marks, day_base_cents=marks.equity_cents)


def at_week_start(marks: EquityMarks) -> EquityMarks:
    """As the day's, for the week."""
    return msgspec.structs.replace(marks, week_base_cents=marks.equity_cents)


def rearmed(marks: EquityMarks) -> EquityMarks:
    """Peak and bases start anew: else a drawdown that a person has answered for would trip again at once."""
    return EquityMarks(marks.equity_cents, marks.equity_cents, marks.equity_cents, marks.equity_cents)


def shifted(marks: EquityMarks, capital_cents: int) -> EquityMarks:
    """Money that came or went without profit or loss moves all marks alike: no fall from it, and no rise."""

    def moved(cents: int | None) -> int | None:
        return None if cents is None else cents + capital_cents

    return EquityMarks(
        equity_cents=moved(marks.equity_cents),
        day_base_cents=moved(marks.day_base_cents),
        peak_cents=moved(marks.peak_cents),
        week_base_cents=moved(marks.week_base_cents),
    )


def drawdown_ppm(marks: EquityMarks) -> int | None:
    """How far equity is below its peak, rounded up; None before the first sample, and where the peak is no money."""
    if marks.equity_cents is None or marks.peak_cents is None or marks.peak_cents <= 0:
        return None
    return -((marks.equity_cents - marks.peak_cents) * PPM // marks.peak_cents)


def fall_reached(from_cents: int | None, equity_cents: int | None, limit_pct: float | Off) -> Fall | None:
    """The fall from a mark when it is at or beyond the limit; None when it is not, is off, or nothing was sampled."""
    if limit_pct == "off" or from_cents is None or equity_cents is None:
        return None
    fall = Fall(from_cents - equity_cents, share_of(from_cents, ppm_of_pct(limit_pct)))
    return fall if fall.cents >= fall.limit_cents else None


def day_loss_reached(limit_pct: float | Off, marks: EquityMarks) -> Fall | None:
    return fall_reached(marks.day_base_cents, marks.equity_cents, limit_pct)


def week_loss_reached(limit_pct: float | Off, marks: EquityMarks) -> Fall | None:
    return fall_reached(marks.week_base_cents, marks.equity_cents, limit_pct)


def drawdown_reached(config: DrawdownConfig, marks: EquityMarks) -> tuple[DrawdownStep, Fall | None]:
    """The gravest step whose limit is reached, with its numbers."""
    steps = (
        (DrawdownStep.FLATTEN, config.flatten_pct),
        (DrawdownStep.CLOSE_ONLY, config.close_only_pct),
        (DrawdownStep.HALVE, config.halve_pct),
        (DrawdownStep.REDUCE, config.reduce_pct),
    )
    for step, limit_pct in steps:
        fall = fall_reached(marks.peak_cents, marks.equity_cents, limit_pct)
        if fall:
            return step, fall
    return DrawdownStep.NONE, None


def floor_cents(limit_pct: float | Off, start_cents: int | None) -> int | None:
    """What equity and balance must stay above: a share of the start balance, rounded up. None: off, or no start known."""
    if limit_pct == "off" or start_cents is None:
        return None
    return -share_of(-start_cents, ppm_of_pct(limit_pct))


def loses_too_often(config: ConsecutiveLossesConfig, losses: int) -> bool:
    """So many trades in a row lost that only a person may go on."""
    return config.close_only_after != "off" and losses >= config.close_only_after


def size_ppm(limits: LimitsConfig, marks: EquityMarks, losses: int) -> int:
    """Share of the wanted volume that losses leave: half from the soft day loss on, times the drawdown's step, times that
    of `losses` trades in a row."""
    ppm = SOFT_DAY_LOSS_SIZE_PPM if day_loss_reached(limits.day_loss_soft_pct, marks) else PPM
    match drawdown_reached(limits.drawdown, marks)[0]:
        case DrawdownStep.NONE:
            pass
        case DrawdownStep.REDUCE:
            ppm = share_of(ppm, ppm_of(limits.drawdown.reduce_to_ratio))
        case DrawdownStep.HALVE | DrawdownStep.CLOSE_ONLY | DrawdownStep.FLATTEN:
            ppm = share_of(ppm, ppm_of(limits.drawdown.halve_to_ratio))
    in_a_row = limits.consecutive_losses
    if in_a_row.reduce_after != "off" and losses >= in_a_row.reduce_after:
        ppm = share_of(ppm, ppm_of(in_a_row.reduce_to_ratio))
    return ppm
