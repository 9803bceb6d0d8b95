"""Who is told outside, and of what."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from evenkeel.config.units import Name, SecretName, Table

How = Literal["on", "silent", "off"]
"""Whether an event is told outside; "silent" arrives without a sound, where the receiver knows such a thing."""

OUTLETS_MAX = 8


class EventsConfig(Table, frozen=True):
    """Each event by the name under which it is told (messages.notifier.Event)."""

    trade_opened: How = "on"
    trade_closed: How = "on"
    rejected: How = "silent"
    close_failed: How = "on"
    unknown_outcome: How = "on"
    unprotected: How = "on"
    mode: How = "on"
    killed: How = "on"
    limit_reached: How = "on"
    breaker: How = "on"
    hold: How = "silent"
    shield: How = "silent"
    disagreement: How = "on"
    foreign: How = "on"
    cash: How = "silent"
    connection: How = "silent"
    storage: How = "on"
    crash: How = "on"
    run: How = "silent"
    health: How = "on"
    day_summary: How = "silent"


class OutletConfig(Table, frozen=True):
    """A way outside, of one `kind`. Of "webhook": `url_secret` names the secret that is its address, `shape` what its receiver
    understands, `to` the chat of "telegram" or the topic of "ntfy". Of "program": `command`, which gets the notice as JSON on
    its standard input and has taken it when it ends with 0. A try of either has failed after `timeout_s`."""

    kind: Literal["webhook", "program"] = "webhook"
    url_secret: SecretName = "notify_url"
    shape: Literal["json", "ntfy", "slack", "discord", "telegram"] = "json"
    to: Annotated[str, Meta(max_length=100)] = ""
    command: tuple[Annotated[str, Meta(max_length=500)], ...] = ()
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 3.0


class NotifierConfig(Table, frozen=True):
    """`severity_max` is the mildest that is told, 1 the gravest; `per_minute_max` counts the notices of one outlet. Without
    an `outlet` nobody is told anything."""

    severity_max: Annotated[int, Meta(ge=1, le=3)] = 3
    per_minute_max: Annotated[int, Meta(ge=1, le=600)] = 20
    events: EventsConfig = EventsConfig()
    outlet: dict[Name, OutletConfig] = msgspec.field(default_factory=dict)
