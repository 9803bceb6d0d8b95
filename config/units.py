"""The kinds of numbers and words that a configuration is made of, each with its range, and what every table is."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Off = Literal["off"]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_.#-]{0,31}\Z")]
Pct = Annotated[float, Meta(gt=0, le=100)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Multiple = Annotated[float, Meta(gt=0, le=1000)]
Minutes = Annotated[float, Meta(ge=0, le=100_000)]
Hours = Annotated[float, Meta(gt=0, le=10_000)]
RsiLevel = Annotated[float, Meta(gt=0, lt=100)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Pips = Annotated[float, Meta(gt=0, le=100_000)]
Lots = Annotated[float, Meta(gt=0, le=10_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Slots = Annotated[int, Meta(ge=1, le=16)]
Requests = Annotated[int, Meta(ge=1, le=10_000)]
Points = Annotated[int, Meta(ge=0, le=1_000_000_000)]
MoneyDecimal = Annotated[float, Meta(gt=0, le=1e12)]
Timeframe = Literal["M1", "M5", "M15", "M30", "H1", "H4", "D1"]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the TOML file; unknown keys are refused."""
