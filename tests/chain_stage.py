"""A stage on which strategies have chains: closed M15 bars that lead somewhere, and a store that outlives the process.

Order A has 10 steps, its stop 200 points away and its target 400; order B as many steps, stopped 100 and booked 70 points away.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from builders import LiveLikeHost, Scene, config_of, scene
from stage import SPECS, Stage

from evenkeel.adapters.chain_store import ChainStoreEdge, MemoryChains
from evenkeel.messages.broker_gateway import DealDone, DealEntry
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped
from evenkeel.runtime.shell import ChildSpec

PLUGIN = "trend"
QUARTER_MS = 900_000
BARS = 30
"""Of a trend and its usual range: enough for the trend score and for the ATR against its median."""


def chain_config(**overrides: Any) -> Any:
    """A strategy of one symbol that raises nothing by itself: a person does so in its name."""
    plugin = {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 9_999, "slow": 10_000, "orders": "dual", "slots": 4}
    usual: dict[str, Any] = {
        "circuit_breaker__enabled": False,
        "exit__time_stop_minutes": "off",
        "entry__stop_pips": 20.0,
        "entry__volume_lots": 0.2,
        "limits__positions_max": "off",
        "limits__per_symbol_slots": 6,
        "strategy": {PLUGIN: plugin | overrides.pop("plugin", {})},
    }
    return config_of(**usual | overrides)


class ChainStage(Stage):
    """Its stores, like the broker, are there after the process has died."""

    def __init__(
        self, *faults: Any, config: Any = None, sabotage: Callable[[ChildSpec], ChildSpec] = lambda spec: spec
    ) -> None:
        self.stores: dict[str, MemoryChains] = {}
        self.sabotage = sabotage
        super().__init__(*faults, config=config or chain_config(), sabotage=self._childs, host_of=LiveLikeHost)

    def _childs(self, spec: ChildSpec) -> ChildSpec:
        kind, _, plugin = spec.name.partition("/")
        if kind == "chain_store":
            store = self.stores.setdefault(plugin, MemoryChains(plugin))
            spec = msgspec.structs.replace(spec, make=lambda: ChainStoreEdge(plugin, store))
        return self.sabotage(spec)

    def restart(self, *, after_s: float = 0.0) -> None:
        """The process dies; the next one goes on where the journal ends, `after_s` later."""
        self.now_utc_ms += round(after_s * 1000)
        self.scene.host.clock.advance_to(self.now_utc_ms)
        self.scene = scene(self.config, SPECS, start=False, after=self.scene, sabotage=self._childs, host_of=LiveLikeHost)
        self.wait(10)

    # -- the market ------------------------------------------------------------------------------------------------------------

    def bars(self, step: int = 10, *, count: int = BARS, symbol: str = "EURUSD") -> None:
        """Closed M15 bars from the next quarter of an hour on; each leads `step` points further; price ends where it was."""
        quote = self.terminal.quote(symbol)
        assert quote is not None
        end = quote.bid_points
        self.now_utc_ms += -self.now_utc_ms % QUARTER_MS
        for number in range(count):
            close = end + step * (number + 1 - count)
            for bid in (close - step, close - 12, close + 12, close):
                self.quote(bid, symbol, after_ms=QUARTER_MS // 4)
        self.quote(end, symbol)

    def move(self, bid: int, *, after_s: float = 1.0) -> None:
        """Price is there some time later, and is seen there once more by what is armed only now."""
        self.quote(bid, after_ms=round(after_s * 1000))
        for _ in range(3):
            self.quote(bid, after_ms=400)

    # -- looking ---------------------------------------------------------------------------------------------------------------

    def chain(self, number: int = -1) -> Any:
        """A chain as its store has it; the last by default."""
        return list(self.stores[PLUGIN].rows.values())[number]

    def path(self, owner: str = "recovery") -> list[str]:
        """Where the chains of `owner` went, from state to state."""
        return [step.after for step in self.said(ChainStepped) if step.owner == owner]

    def ends(self) -> list[tuple[str, str]]:
        return [(end.status.value, end.reason) for end in self.said(ChainEnded)]

    def opened(self) -> list[str]:
        return [opened.lineage.order_kind for opened in self.said(PositionOpened)]

    def closed(self) -> list[tuple[str, str]]:
        return [(closed.lineage.order_kind, closed.reason.value) for closed in self.said(PositionClosed)]


def assert_sound(story: Scene, rows: dict[str, Any]) -> None:
    """Nothing was opened twice, every step was written, each chain has one live step, and stores say what was saved last."""
    magics = [done.deal.magic for done in story.said(DealDone) if done.deal.entry is DealEntry.IN]
    assert len(magics) == len(set(magics))
    causes = [
        (opened.lineage.parent_ticket, opened.lineage.order_kind, opened.lineage.number)
        for opened in story.said(PositionOpened)
        if opened.lineage.parent_ticket
    ]
    assert len(causes) == len(set(causes))
    saved = {save.chain.chain_id: save.chain for save in story.said(SaveChain)}
    assert {chain_id: msgspec.structs.replace(row) for chain_id, row in rows.items()} == saved
