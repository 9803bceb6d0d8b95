"""Prices, the levels that wait for them, bars, samples, and what a symbol is.

Prices and distances are integers in points of a `SymbolSpec`; every price-bearing message names its spec.
"""

from enum import StrEnum
from typing import NewType

import msgspec

from evenkeel.messages.system import Message, Observation

SpecId = NewType("SpecId", int)


class Direction(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Side(StrEnum):
    """Which price of a quote a level is compared with."""

    BID = "bid"
    ASK = "ask"


class PointWorth(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Worth of one point of one lot as a ratio of cents: `numerator / denominator`. USDJPY is 66.50, never an integer."""

    numerator: int
    denominator: int


class SymbolSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the broker says of a symbol, in our units. A change of any field is a new `spec_id`.

    `contract_size` is units of the base currency per lot; `notional_cents_per_lot` its worth in the account's currency.
    """

    spec_id: int
    symbol: str
    digits: int
    contract_size: int
    steps_per_lot: int
    volume_min_steps: int
    volume_max_steps: int
    stops_level_points: int
    worth: PointWorth
    notional_cents_per_lot: int
    typical_spread_points: int
    commission_cents_per_lot: int = 0


class Quote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    time_utc_ms: int
    bid_points: int
    ask_points: int


class Watch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At or beyond `level_points` on `side`: `rising` means price >= level, otherwise price <= level. Both ends count.

    `confirmations` quotes in a row must be there. One-shot. `name` is the owner's own word for it.
    """

    name: str
    side: Side
    rising: bool
    level_points: int
    confirmations: int = 1


class SymbolSpecified(Observation, frozen=True):
    """The broker's terms for a symbol, at the start and whenever they change."""

    spec: SymbolSpec


class DailyRange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    high_points: int
    low_points: int
    close_points: int


class DailyBarsRead(Observation, frozen=True):
    """The terminal's D1 bars, oldest first, the unfinished day left out."""

    symbol: str
    spec_id: int
    days: tuple[DailyRange, ...]


class ArmWatches(Message, frozen=True):
    """Wake `owner` with `PricesReached` when a level is crossed. A watch counts from the quote after the one being served.

    A watch of the same owner and name replaces. Never refused.
    """

    owner: str
    symbol: str
    spec_id: int
    watches: tuple[Watch, ...]


class DisarmWatches(Message, frozen=True):
    """Forget watches by name; unknown ones are ignored."""

    owner: str
    symbol: str
    names: tuple[str, ...]


class PricesReached(Observation, frozen=True):
    """All watches of one owner that one quote crossed, together. They are disarmed by it."""

    owner: str
    symbol: str
    spec_id: int
    quote: Quote
    names: tuple[str, ...]


class BarClosed(Observation, frozen=True):
    """A bar of bids, closed by the first quote of a later period, which is `quote`.

    `close_ask_points` is the ask of the bar's last quote; `spread_points` the median spread inside it;
    `spread_median_points` the baseline (spread_points_max of the limits), 0 when there is none yet.
    `late` marks bars rebuilt after an interruption: they warm up, nobody trades on them.
    """

    symbol: str
    spec_id: int
    timeframe: str
    open_utc_ms: int
    open_points: int
    high_points: int
    low_points: int
    close_points: int
    close_ask_points: int
    spread_points: int
    spread_median_points: int
    quotes: int
    quote: Quote
    late: bool = False


class WantSamples(Message, frozen=True):
    """Send `SampleDue` to `owner` each `every_ms` of the run's clock; 0 ends it. Never refused."""

    owner: str
    symbol: str
    every_ms: int


class SampleDue(Observation, frozen=True):
    """A look at the price at a stated time. `age_ms` is monotonic live and market time in a replay."""

    owner: str
    symbol: str
    spec_id: int
    quote: Quote
    age_ms: int
    spread_median_points: int


class QuotesStale(Observation, frozen=True):
    """No quote of the symbol for longer than `quote_age_s_max` while its session is open."""

    symbol: str
    age_ms: int


class QuotesResumed(Observation, frozen=True):
    symbol: str


class FeedGap(Observation, frozen=True):
    """Quotes of a stretch could not be read again; the price was somewhere in `low..high` when it is known (0, 0 otherwise)."""

    symbol: str
    spec_id: int
    from_utc_ms: int
    to_utc_ms: int
    low_points: int
    high_points: int
