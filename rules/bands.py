"""Where a price may go without anybody's notice."""

from typing import Final, NamedTuple

FAR_POINTS: Final = 2**62


class Band(NamedTuple):
    """The open interval of each price inside which nobody waits for a quote. A floor at or above its ceiling shuts it."""

    bid_floor: int = -FAR_POINTS
    bid_ceiling: int = FAR_POINTS
    ask_floor: int = -FAR_POINTS
    ask_ceiling: int = FAR_POINTS

    def within(self, other: "Band") -> "Band":
        """Where both are quiet."""
        return Band(
            max(self.bid_floor, other.bid_floor),
            min(self.bid_ceiling, other.bid_ceiling),
            max(self.ask_floor, other.ask_floor),
            min(self.ask_ceiling, other.ask_ceiling),
        )


SHUT: Final = Band(FAR_POINTS, -FAR_POINTS, FAR_POINTS, -FAR_POINTS)
