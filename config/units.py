"""The kinds of numbers and words that a configuration is made of, each with its range, and what every table is."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

NAMES_SECRET: Final = {"names": "secret"}
"""Marks a kind of text whose wrong values no error may repeat: somebody may have put the secret itself there."""

Off = Literal["off"]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_.#-]{0,31}\Z")]
SecretName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9]{0,15}(_[a-z0-9]{1,15}){0,3}\Z", extra=NAMES_SECRET)]
"""Where to look for a secret, never the secret: short words, as no key or address is written (adapters/secrets.py)."""
Ticker = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.:!/#-]{0,47}\Z")]
"""A symbol as somebody else calls it, such as FX:EURUSD."""
HostName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")]
Address = Annotated[str, Meta(pattern=r"\A([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}\Z")]
"""HOST:PORT; an address of IPv6 stands in brackets."""
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
