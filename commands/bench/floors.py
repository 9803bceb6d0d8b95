"""What cannot be gone below on this machine: a bare stepped host."""

from evenkeel.commands.bench.chain import deliveries
from evenkeel.commands.bench.figures import Figure


def stepped_deliveries(seconds: float) -> Figure:
    """What the stepped host alone takes, with handlers that do next to nothing: no replay delivers faster."""
    wanted = "deliveries.stepped.no_journal"
    return next(figure for figure in deliveries(seconds) if figure.name == wanted)
