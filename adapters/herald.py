"""A few words outside for a process without an outbox: the watchdog, when there is no supervisor to tell them."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from loguru import logger

from evenkeel.adapters.outlets import AddressUnusable, Outlet, Sent, Wire, outlets_of
from evenkeel.adapters.secrets import SecretError
from evenkeel.config.notifier import NotifierConfig
from evenkeel.messages.notifier import Event
from evenkeel.rules.notifier import GRAVE, how

WAITS_S: Final = (1.0, 4.0, 15.0, 60.0)
"""Before the second, third … try."""
UNDER_WAY_MAX: Final = 16
"""Sends at once; what comes while so many are under way is told in the log alone."""


class Herald:
    """Each outlet by a thread of its own, which nobody waits for. What no outlet takes after the last try is lost: it is in the
    log."""

    def __init__(self, account: str, outlets: Mapping[str, Outlet], *, silent: bool, utc_ms: Callable[[], int]) -> None:
        self._account, self._outlets, self._silent, self._utc_ms = account, outlets, silent, utc_ms
        self._under_way: list[threading.Thread] = []

    def tell(self, words: str) -> None:
        """As an event "crash" of severity 1; returns at once."""
        now_utc_ms = self._utc_ms()
        wire = Wire(
            id=f"watchdog-{now_utc_ms}",
            event=Event.CRASH.value,
            severity=GRAVE,
            silent=self._silent,
            account=self._account,
            text=words,
            count=1,
            time_utc_ms=now_utc_ms,
            seqs=(),
        )
        self._under_way = [thread for thread in self._under_way if thread.is_alive()]
        for name, outlet in self._outlets.items():
            if len(self._under_way) < UNDER_WAY_MAX:
                thread = threading.Thread(target=self._send, args=(name, outlet, wire), daemon=True)
                thread.start()
                self._under_way.append(thread)

    @staticmethod
    def _send(name: str, outlet: Outlet, wire: Wire) -> None:
        pause = threading.Event()
        sent: Sent = outlet.send(wire)
        for wait_s in WAITS_S:
            if sent.is_taken:
                return
            pause.wait(wait_s if sent.retry_after_s is None else max(wait_s, min(sent.retry_after_s, WAITS_S[-1])))
            sent = outlet.send(wire)
        if not sent.is_taken:
            logger.error("outlet {} was not told: {}: {}", name, wire.text, sent.detail)


def herald_of(config: NotifierConfig, account: str, utc_ms: Callable[[], int]) -> Herald:
    """One that tells nobody where the event is off. An outlet without its secret is no reason not to watch."""
    outlets: Mapping[str, Outlet] = {}
    if how(config, Event.CRASH) != "off":
        try:
            outlets = outlets_of(config)
        except (SecretError, AddressUnusable) as error:
            logger.error("nobody outside can be told: {}", error)
    return Herald(account, outlets, silent=how(config, Event.CRASH) == "silent", utc_ms=utc_ms)
