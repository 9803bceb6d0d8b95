"""What may be wrong with recorded prices, by name; price_checks.py finds it."""

from enum import StrEnum
from typing import Final

SCALE_RATIO_MAX: Final = 30
JUMP_RATIO_MAX: Final = 3


class Flaw(StrEnum):
    GAP = "gap"
    SCALE = "scale"
    JUMP = "jump"
    CROSSED = "crossed"
    REPEATED = "repeated"
    BACK = "goes back"
    TIMEFRAMES = "mixed time frames"
    EXTREMES = "extremes"
    COARSE = "coarse times"
    CLOCK = "clock"


EXPLAINED: Final[dict[Flaw, str]] = {
    Flaw.GAP: "no rows for longer than --gap-minutes, and than a bar; week ends, Christmas and New Year are none",
    Flaw.SCALE: f"more than {SCALE_RATIO_MAX} times what the symbol usually costs, or less than 1/{SCALE_RATIO_MAX}",
    Flaw.JUMP: f"more than {JUMP_RATIO_MAX} times the price of the row before, or less than 1/{JUMP_RATIO_MAX}",
    Flaw.CROSSED: "bid above ask",
    Flaw.REPEATED: "the row before once more: all of a quote, the time of a bar",
    Flaw.BACK: "the time goes back behind the row before",
    Flaw.TIMEFRAMES: "nearer to the row before than a bar is long, or rows of a longer timeframe among the others",
    Flaw.EXTREMES: "open or close not between low and high",
    Flaw.COARSE: "most quotes on whole minutes: times were cut off, or bars are called ticks",
    Flaw.CLOCK: "week ends where those of another clock are",
}
