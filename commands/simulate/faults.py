"""The faults that a world may have, by the numbers of the catalogue, and how often each comes.

What cannot happen inside one stepped account is not here: what outside channels ask for (F56, F59), what is refused before a
run begins (F22, F60, F64), a clock of the broker's (F52), what belongs to threads, mailboxes and files (F36, F38, F50, F62).
"""

from enum import StrEnum
from random import Random
from typing import Final, NamedTuple


class Way(StrEnum):
    """How a fault comes: with a share of the calls that it suits, as a spell that begins now and then, or as an event."""

    CALL = "call"
    SPELL = "spell"
    EVENT = "event"


class Fault(NamedTuple):
    """`often` is a share of calls (CALL) or a count in a day (SPELL, EVENT), before a world's own factor."""

    words: str
    way: Way
    often: float


FAULTS: Final[dict[str, Fault]] = {
    # the broker and its terminal
    "F1": Fault("reply lost, request carried out", Way.CALL, 0.08),
    "F2": Fault("reply lost, request not carried out", Way.CALL, 0.06),
    "F3": Fault("request carried out 30 s to 3 min later", Way.CALL, 0.04),
    "F4": Fault("history lags up to 120 s", Way.SPELL, 24),
    "F5": Fault("readings answer nothing", Way.SPELL, 24),
    "F6": Fault("one reading shows no positions", Way.CALL, 0.004),
    "F7": Fault("comment rewritten", Way.CALL, 0.05),
    "F8": Fault("magic lost", Way.CALL, 0.02),
    "F9": Fault("requotes in a row", Way.SPELL, 12),
    "F10": Fault("market closed or trading disabled", Way.SPELL, 6),
    "F11": Fault("placed first, carried out or refused later", Way.CALL, 0.04),
    "F12": Fault("filled or closed in part", Way.CALL, 0.05),
    "F13": Fault("done, and shown seconds later", Way.CALL, 0.08),
    "F14": Fault("filled far beyond the price", Way.CALL, 0.02),
    "F15": Fault("the broker's stop while a close is on its way", Way.CALL, 0.02),
    "F16": Fault("stop-out of everything", Way.EVENT, 0.5),
    "F17": Fault("stops refused on entry", Way.CALL, 0.03),
    "F18": Fault("somebody removes or moves the broker's stop", Way.EVENT, 12),
    "F19": Fault("deposit, credit, fee, correction", Way.EVENT, 4),
    "F21": Fault("another account in the terminal", Way.SPELL, 2),
    "F23": Fault("terminal restarts, a call hangs", Way.EVENT, 12),
    "F24": Fault("a stranger trades on the account", Way.EVENT, 4),
    "F25": Fault("terms of a symbol cannot be read", Way.SPELL, 6),
    # the market
    "F26": Fault("gap of a quarter and forty minutes of silence", Way.EVENT, 0.05),
    "F27": Fault("flash of 9 % with a pause", Way.EVENT, 0.05),
    "F28": Fault("spread twentyfold, middle flat", Way.EVENT, 2),
    "F29": Fault("gap between two days or over the weekend", Way.EVENT, 0.5),
    "F30": Fault("frozen, repeated, crossed or backward quotes", Way.EVENT, 24),
    "F31": Fault("a burst of quotes", Way.EVENT, 2),
    "F32": Fault("whipsaw", Way.EVENT, 2),
    "F33": Fault("all symbols fall together", Way.EVENT, 0.5),
    # processes and children
    "F34": Fault("the supervisor dies at a commit or a call", Way.EVENT, 16),
    "F35": Fault("a child raises at a message", Way.EVENT, 48),
    "F37": Fault("an observation is told twice", Way.EVENT, 24),
    "F39": Fault("asked too late: carried out long after it was given up", Way.CALL, 0.03),
    "F40": Fault("the machine stands still for up to 2 h", Way.EVENT, 0.5),
    "F41": Fault("the supervisor dies several times in a row", Way.EVENT, 0.5),
    "F42": Fault("build or configuration changed at a restart", Way.EVENT, 1),
    "F43": Fault("a stop signal during flatten", Way.EVENT, 0.5),
    # disk
    "F44": Fault("disk full", Way.EVENT, 1),
    "F45": Fault("the journal's map is full", Way.EVENT, 0.5),
    "F46": Fault("a commit fails", Way.EVENT, 1),
    "F47": Fault("the last writes are lost", Way.EVENT, 1),
    "F48": Fault("bits flip in the journal", Way.EVENT, 0.5),
    "F49": Fault("an old backup is restored", Way.EVENT, 0.25),
    # clock and network
    "F51": Fault("the clock jumps an hour", Way.EVENT, 1),
    "F53": Fault("time runs backwards over a restart", Way.EVENT, 1),
    "F54": Fault("the link to the terminal host flaps", Way.SPELL, 8),
    "F57": Fault("success is told of an order that never was", Way.CALL, 0.01),
    "F63": Fault("bytes that mean nothing reach the terminal host", Way.EVENT, 24),
    # a person
    "F58": Fault("kill, pressed again and again", Way.EVENT, 2),
    "F61": Fault("a person closes or opens by hand", Way.EVENT, 8),
    # outside
    "F55": Fault("the channel outside is slow, refuses or loses", Way.SPELL, 24),
}


class Rates:
    """How often each fault comes in one world: some not at all, the others a third to three times their usual share.

    `factor` 0 makes a world without faults.
    """

    def __init__(self, random: Random, *, factor: float = 1.0) -> None:
        self.of: dict[str, float] = {}
        for name, fault in FAULTS.items():
            is_in, own = random.random() < 0.7, 3 ** random.uniform(-1, 1)
            self.of[name] = fault.often * own * factor if is_in else 0.0

    def times_utc_ms(self, random: Random, name: str, from_utc_ms: int, to_utc_ms: int) -> list[int]:
        """When a spell or an event comes in that stretch."""
        days = (to_utc_ms - from_utc_ms) / 86_400_000
        count = int(self.of[name] * days + random.random())
        return sorted(random.randrange(from_utc_ms, to_utc_ms) for _ in range(count))
