"""The chain store of one plugin: its port, one in memory, and the edge that writes down what the owners of chains ask.

StoreUnusable    the store cannot be read or written; nothing of it can be trusted until a person has looked

The journal is what the owners know: their state is its fold. The store is the plugin's own record of it, written before
anything is done for a chain. At each start the store is made to say what the journal says: rows that differ are written
again, and chains that only the store has (its journal was lost, or restored from before) are over, so that no stale row is in
a chain's way. Nothing is read back from a store into an owner.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
from loguru import logger

from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, SaveChain, StoreFailure
from evenkeel.messages.system import Message
from evenkeel.rules.chain_store import ENDED_KEPT, Refusal, Row, ended_unknown, is_over, newest_first, recoveries_begun, written
from evenkeel.runtime.edge import At

NAME: Final = "chain_store"


class StoreUnusable(OSError):
    """The text names the file and what is wrong with it."""


class ChainStore(Protocol):
    """The chains of one plugin. Each method may raise StoreUnusable; then nothing was changed."""

    def save(self, row: Row) -> Refusal | None:
        """Write in the place of the version before, as rules.chain_store.written says. On the disk when it returns."""
        ...

    def put(self, row: Row) -> None:
        """Write whatever is there. Only for a start."""
        ...

    def row(self, chain_id: str) -> Row | None: ...

    def active(self) -> list[Row]:
        """Those that are not over, newest first."""
        ...

    def recoveries(self, day: str) -> int:
        """How many recoveries were begun on the trading day (ISO date)."""
        ...


class MemoryChains:
    """A store that lasts as long as it is held: for replays, stories and worlds."""

    def __init__(self, plugin: str, day_of: Callable[[int], str] = lambda _: "", *, ended_kept: int = ENDED_KEPT) -> None:
        self.rows: dict[str, Row] = {}
        self._plugin = plugin
        self._day_of = day_of
        self._ended_kept = ended_kept
        self._recoveries: dict[str, int] = {}

    def save(self, row: Row) -> Refusal | None:
        kept = written(self._plugin, self.rows.get(row.chain_id), row)
        if isinstance(kept, Refusal):
            return kept
        self.put(kept)
        return None

    def put(self, row: Row) -> None:
        begun = recoveries_begun(self.rows.get(row.chain_id), row)
        if begun:
            day = self._day_of(row.updated_utc_ms)
            self._recoveries[day] = self._recoveries.get(day, 0) + begun
        self.rows[row.chain_id] = row
        while len(self.rows) > self._ended_kept and (ended := next((one for one in self.rows.values() if is_over(one)), None)):
            del self.rows[ended.chain_id]

    def row(self, chain_id: str) -> Row | None:
        return self.rows.get(chain_id)

    def active(self) -> list[Row]:
        return newest_first(row for row in self.rows.values() if not is_over(row))

    def recoveries(self, day: str) -> int:
        return self._recoveries.get(day, 0)


class ChainStoreState(msgspec.Struct):
    """`asked` are the writes without an answer, oldest first; `rows` the chains as they were last written, while they last."""

    asked: dict[str, SaveChain] = {}
    rows: dict[str, Row] = {}


class ChainStoreEdge:
    """Writes each chain down when it is asked to, and answers whether it is on the disk.

    A store that is broken refuses every write and is tried again at the next: no chain of this plugin takes a step, its trades
    keep their stops, and other plugins do not notice.
    """

    poll_s: float | None = None

    def __init__(self, plugin: str, store: ChainStore) -> None:
        self.state = ChainStoreState()
        self.failure = ""
        """Why the store could not be used the last time; "" when it could. For other threads to look at."""
        self._plugin = plugin
        self._store = store

    def remember(self, message: SaveChain | ChainSaved | ChainNotSaved, /) -> None:
        state = self.state
        match message:
            case SaveChain():
                state.asked[_key(message.owner, message.chain.chain_id, message.chain.version)] = message
            case ChainSaved():
                asked = state.asked.pop(_key(message.owner, message.chain_id, message.version), None)
                if asked is not None:
                    state.rows[message.chain_id] = asked.chain
                    if is_over(asked.chain):
                        del state.rows[message.chain_id]
            case ChainNotSaved():
                asked = state.asked.pop(_key(message.owner, message.chain_id, message.version), None)
                if asked is not None and is_over(asked.chain):
                    state.rows.pop(message.chain_id, None)  # its owner may give up: then the next start ends it

    def act(self, message: SaveChain, at: At, /) -> Sequence[Message]:
        return [self._saved(message)]

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        """What was asked and not answered is saved now, or was saved already."""
        try:
            self._agree(now_utc_ms)
            self.failure = ""
        except StoreUnusable as error:
            self.failure = str(error)
            logger.error("the chains of {} cannot be stored: {}; none of them takes a step", self._plugin, error)
        return [self._saved(asked) for asked in self.state.asked.values()]

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return ()

    def close(self) -> None:
        """The store outlives its edge: another incarnation goes on with it."""

    def _saved(self, asked: SaveChain) -> ChainSaved | ChainNotSaved:
        chain = asked.chain
        try:
            refusal = self._store.save(chain)
            self.failure = ""
        except StoreUnusable as error:
            self.failure = str(error)
            logger.error("chain {} of {} was not stored: {}", chain.chain_id, self._plugin, error)
            refusal = Refusal(StoreFailure.UNWRITABLE, str(error))
        if refusal is None:
            return ChainSaved(asked.owner, self._plugin, chain.chain_id, chain.version)
        return ChainNotSaved(asked.owner, self._plugin, chain.chain_id, chain.version, refusal.failure, refusal.detail)

    def _agree(self, now_utc_ms: int) -> None:
        """Make the store say what the journal says; of a write without an answer either may be there."""
        asked = {asked.chain.chain_id: asked.chain for asked in self.state.asked.values()}
        rows = self.state.rows
        for chain_id, row in rows.items():
            if self._store.row(chain_id) not in (row, asked.get(chain_id, row)):
                self._store.put(row)
        for row in self._store.active():
            if row.chain_id not in rows and row.chain_id not in asked:
                logger.warning("chain {} of {} is not in the journal: it is over", row.chain_id, self._plugin)
                self._store.put(ended_unknown(row, now_utc_ms))


def _key(owner: str, chain_id: str, version: int) -> str:
    return f"{owner} {chain_id} {version}"
