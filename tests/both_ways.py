"""A recording replayed twice: by jumps to what is searched for, and quote by quote."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evenkeel.commands.backtest.plan import Input, plan_of, recorded
from evenkeel.commands.backtest.replay import Replayed, prepared, replayed
from evenkeel.messages.codec import decode
from evenkeel.runtime.journal import MemoryJournal, decode_record

IS_ALL = os.environ.get("EVENKEEL_REAL") == "all"
"""Real files are replayed whole; else the stretches of them that tests name."""


def part_of(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags of a replay of a real file: those without the stretch, where files are replayed whole."""
    return {key: flag for key, flag in flags.items() if not (IS_ALL and key.endswith("_time"))}


def both(files: Sequence[tuple[str, Path]], strategy: str, config: Path | None, **flags: Any) -> tuple[Replayed, list[bytes]]:
    """What a jump finds and writes, after it was compared with what every tick does. `files` are (symbol, path)."""
    for _, path in files:
        if not path.exists():
            pytest.skip(f"no recorded market data beside the project: {path.name}")
    plan = plan_of(config_path=config, symbols=[symbol for symbol, _ in files], strategy=strategy, **flags)
    inputs = [Input("bars" if path.name.startswith("bars") else "ticks", path) for _, path in files]
    found: list[Replayed] = []
    journals: list[MemoryJournal] = []
    for every_tick in (False, True):
        journal = MemoryJournal()
        journals.append(journal)
        found.append(replayed(prepared(plan, recorded(plan, inputs)), every_tick=every_tick, journal=journal))
    jumped, slow = found
    told = zip(journals[0].bodies, journals[1].bodies, strict=False)
    different = next((index for index, (one, other) in enumerate(told) if one != other), None)
    assert different is None, "\n".join(told_of(journal.bodies[different]) for journal in journals)
    assert len(journals[0].bodies) == len(journals[1].bodies)
    assert (jumped.heard, jumped.bars, jumped.journal_sha256) == (slow.heard, slow.bars, slow.journal_sha256)
    return jumped, journals[0].bodies


def told_of(body: bytes) -> str:
    record = decode_record(body)
    return f"{record}: {decode(bytes(record.body))}"


def said(bodies: Sequence[bytes], kind: type) -> list[Any]:
    messages = (decode(bytes(decode_record(body).body)) for body in bodies)
    return [message for message in messages if isinstance(message, kind)]
