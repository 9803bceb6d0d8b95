"""`evenkeel bench runtime`: everything that is measured of the runtime, in the order in which it is told."""

from collections.abc import Iterator
from typing import Final

from evenkeel.commands.bench.chain import deliveries, publish_to_handle
from evenkeel.commands.bench.figures import Figure, as_in_a_run, wake_lateness
from evenkeel.commands.bench.indicators import bar_costs
from evenkeel.commands.bench.journal import commits
from evenkeel.commands.bench.kill import kill_to_refusal
from evenkeel.commands.bench.quotes import quote_to_call
from evenkeel.commands.bench.real_children import replayed

RATES_PER_S: Final = (1_000, 5_000)
SHORT: Final = 0.2
"""The share of the seconds that one of many rounds of a throughput takes; latencies need every sample they can get."""


def figures(seconds: float) -> Iterator[Figure]:
    """Each figure when it is measured; `seconds` for each latency. Raises BenchFailed."""
    with as_in_a_run():
        yield wake_lateness(seconds)
        for per_s in RATES_PER_S:
            yield publish_to_handle(per_s, seconds)
        for per_s in RATES_PER_S:
            yield from quote_to_call(per_s, seconds)
        yield from deliveries(seconds * SHORT)
        yield from replayed(seconds * SHORT)
        yield from commits(seconds * SHORT)
        yield from kill_to_refusal(seconds)
        yield from bar_costs(seconds * SHORT)
