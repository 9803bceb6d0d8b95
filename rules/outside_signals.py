"""A signal of another program: what it may say, and whether it may be raised.

How old a signal is counts from when its sender says it was sent; so whoever records one can use it for a minute at most, and
within that minute its id is known already.
"""

import datetime
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from evenkeel.config.units import Ticker

AHEAD_MS_MAX: Final = 5_000
"""A sender's clock may be so far before ours."""
SignalId = Annotated[str, Meta(pattern=r"\A[ -~]{1,96}\Z")]
Positions = Literal["", "long", "short", "flat"]


class NoSignal(Exception):
    """What was sent says no signal; one line that may repeat a word of it."""


class OutsideSignal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`id` is its sender's, never used twice; `time` is when it was sent. `strategy` "" belongs to none.

    `position` is what the sender's own account holds after it, where that is told: a signal that only ends or lessens a
    position is none of ours, for exits are.
    """

    id: SignalId
    time: Annotated[datetime.datetime, Meta(tz=True)]
    symbol: Ticker
    direction: Literal["buy", "sell"]
    strategy: Annotated[str, Meta(pattern=r"\A([A-Za-z0-9][A-Za-z0-9_.#-]{0,31})?\Z")] = ""
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0
    position: Positions = ""

    @property
    def sent_utc_ms(self) -> int:
        return round(self.time.timestamp() * 1000)

    @property
    def digest(self) -> str:
        """Of all that it says, in hex: two signals with one id and two digests are two signals."""
        said = (self.id, self.sent_utc_ms, self.symbol, self.direction, self.strategy, self.confidence, self.position)
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


Signal = TypeVar("Signal", bound=OutsideSignal)


class Terms(NamedTuple):
    """What may be raised. `symbols` None: by our own names; `strategies` None: those that the supervisor knows."""

    age_ms_max: int
    symbols: Mapping[str, str] | None = None
    strategies: Collection[str] | None = None
    confidence_max: float = 1.0


class Wanted(NamedTuple):
    """A signal in our own words."""

    symbol: str
    confidence: float


class NotWanted(NamedTuple):
    """`end` is "ignored" for what is rightly none of ours, else "refused"."""

    end: Literal["ignored", "refused"]
    text: str


def signal_in(text: bytes, kind: type[Signal]) -> Signal:
    """The one that a JSON object holds. Raises NoSignal."""
    try:
        signal = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=_without_twins)  # msgspec takes the last of two keys alike
    except (ValueError, RecursionError) as error:
        raise NoSignal("".join(letter if letter.isprintable() else "?" for letter in str(error))) from None
    return signal


def wanted(signal: OutsideSignal, terms: Terms, now_utc_ms: int) -> Wanted | NotWanted:
    """What may be raised of it now, or why nothing may."""
    age_ms = now_utc_ms - signal.sent_utc_ms
    if age_ms > terms.age_ms_max:
        return NotWanted("refused", f"sent {age_ms / 1000:.1f} s ago, more than {terms.age_ms_max / 1000:g} s")
    if age_ms < -AHEAD_MS_MAX:
        return NotWanted("refused", f"sent {-age_ms / 1000:.1f} s from now: the sender's clock and ours differ")
    if signal.position and signal.position != ("long" if signal.direction == "buy" else "short"):
        return NotWanted(
            "ignored", f"a {signal.direction} that leaves {signal.position} enters nothing; exits are decided here"
        )
    if terms.strategies is not None and signal.strategy not in (terms.strategies or ("",)):
        which = f"may not be of {signal.strategy}" if signal.strategy else "names no strategy"
        return NotWanted("refused", f"a signal here {which}: {' '.join(terms.strategies) or 'none is configured'}")
    symbol = signal.symbol if terms.symbols is None else terms.symbols.get(signal.symbol)
    if symbol is None:
        return NotWanted("refused", f"{signal.symbol} stands for no symbol here")
    return Wanted(symbol, min(signal.confidence, terms.confidence_max))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found
