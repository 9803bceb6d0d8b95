"""One story of chains: orders A and B, each stopped and recovered, A's chain up to its last level, B's up the pyramid; told to
any system, undisturbed or with a child that dies."""

from typing import Any

from builders import Scene
from chain_stage import PLUGIN, ChainStage, chain_config

CONFIG = chain_config(
    limits__profit_protection="off",
    recovery__profit_protection="off",
    recovery__trailing_start_ratio="off",
    broker_gateway__reconcile_s=60.0,
)


def told(*, stage: ChainStage | None = None, **changes: Any) -> Scene:
    """From the signal to the last level of order A's chain."""
    stage = stage or ChainStage(config=CONFIG, **changes)
    stage.bars()
    stage.signal(strategy=PLUGIN)
    pyramid(stage)
    recovery(stage)
    climb(stage)
    return stage.scene


def pyramid(stage: ChainStage) -> None:
    """Order B is stopped and recovered, and two levels are opened and booked, while A is open."""
    stage.move(109_905)
    stage.move(109_985, after_s=61)
    stage.move(110_080)
    stage.move(110_190)
    stage.move(110_190)
    stage.move(110_350)


def recovery(stage: ChainStage) -> None:
    """Order A is stopped and recovered."""
    stage.move(109_810)
    stage.move(109_950, after_s=61)
    stage.move(110_170)


def climb(stage: ChainStage) -> None:
    """Three continuations, each to its target: the last level is over."""
    for bid in (110_200, 110_440, 110_680):
        stage.move(bid, after_s=61)
        stage.move(bid + 220)
