"""A search in arrays finds what a look at every quote finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.rules.bands import FAR_POINTS, SHUT, Band
from evenkeel.rules.price_search import BLOCK, PriceSearch

FLOORS = st.integers(90, 110) | st.just(-FAR_POINTS)
CEILINGS = st.integers(90, 110) | st.just(FAR_POINTS)
PRICES = st.lists(st.tuples(st.integers(95, 105), st.integers(0, 4)), max_size=3 * BLOCK)


def is_inside(band: Band, bid: int, ask: int) -> bool:
    return band.bid_floor < bid < band.bid_ceiling and band.ask_floor < ask < band.ask_ceiling


@given(PRICES, st.builds(Band, FLOORS, CEILINGS, FLOORS, CEILINGS), st.integers(0, 2 * BLOCK))
def test_the_first_quote_outside_is_the_one_that_a_look_at_each_finds(
    quotes: list[tuple[int, int]], band: Band, start: int
) -> None:
    bids = np.array([bid for bid, _ in quotes], np.int64)
    asks = np.array([bid + spread for bid, spread in quotes], np.int64)
    start = min(start, len(quotes))
    found = PriceSearch(bids, asks).first_outside(start, band)
    outside = [index for index in range(start, len(quotes)) if not is_inside(band, int(bids[index]), int(asks[index]))]
    assert found == (outside[0] if outside else len(quotes))


def test_far_away_blocks_are_searched_too() -> None:
    bids = np.full(100 * BLOCK, 100, np.int64)
    bids[77 * BLOCK + 5] = 90
    assert PriceSearch(bids, bids + 2).first_outside(3, Band(bid_floor=90)) == 77 * BLOCK + 5


def test_a_shut_band_keeps_every_quote_outside() -> None:
    prices = np.array([5, 6], np.int64)
    assert PriceSearch(prices, prices).first_outside(1, SHUT) == 1


def test_two_bands_leave_what_is_quiet_in_both() -> None:
    assert Band(1, 9, 2, 8).within(Band(3, 7)) == Band(3, 7, 2, 8)
