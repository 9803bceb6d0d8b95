"""What holds for the state of every kernel: it is small, and what comes out of a snapshot goes on as it would have."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from evenkeel.rules.indicators.adx import Adx, adx_after
from evenkeel.rules.indicators.atr import Atr, atr_after
from evenkeel.rules.indicators.pearson import Pair, pair_after
from evenkeel.rules.indicators.rsi import Rsi, rsi_after
from evenkeel.rules.indicators.running_median import RunningMedian, running_median_after
from evenkeel.rules.indicators.window import Window, window_after

BYTES_MAX = 3_000

Step = Callable[[Any, int, int, int, int, int], Any]
KERNELS: dict[str, tuple[Any, Step]] = {
    "atr": (Atr(), lambda s, _, o, h, low, c: atr_after(s, 14, high_points=h, low_points=low, close_points=c)),
    "adx": (Adx(), lambda s, _, o, h, low, c: adx_after(s, 14, high_points=h, low_points=low, close_points=c)),
    "rsi": (Rsi(), lambda s, _, o, h, low, c: rsi_after(s, 14, c)),
    "window": (
        Window(),
        lambda s, _, o, h, low, c: window_after(s, open_points=o, high_points=h, low_points=low, close_points=c),
    ),
    "pair": (Pair(), lambda s, i, o, h, low, c: pair_after(s, is_other=i % 2 == 1, open_utc_ms=i // 2, close_points=c)),
    "running median": (RunningMedian(), lambda s, _, o, h, low, c: running_median_after(s, 60, c)),
}


def bars(count: int) -> list[tuple[int, int, int, int]]:
    dice, price, rows = random.Random(1), 100_000, []
    for _ in range(count):
        opened, price = price, price + dice.randint(-50, 50)
        rows.append((opened, max(opened, price) + dice.randint(0, 9), min(opened, price) - dice.randint(0, 9), price))
    return rows


@pytest.mark.parametrize("name", KERNELS)
def test_a_snapshot_after_any_bar_changes_nothing(name: str) -> None:
    state, step = KERNELS[name]
    restored = state
    for index, bar in enumerate(bars(200)):
        state = step(state, index, *bar)
        stored = msgspec.msgpack.encode(step(restored, index, *bar))
        restored = msgspec.msgpack.decode(stored, type=type(state))
        assert restored == state


@pytest.mark.parametrize("name", KERNELS)
def test_a_state_stays_small(name: str) -> None:
    state, step = KERNELS[name]
    for index, bar in enumerate(bars(2_000)):
        state = step(state, index, *bar)
    assert len(msgspec.msgpack.encode(state)) < BYTES_MAX
