"""Each quote once, although a terminal can only be asked from a whole second on."""

from hypothesis import given
from hypothesis import strategies as st

from evenkeel.adapters.mt5.quotes import Seen, unseen
from evenkeel.messages.market import Quote


def at(*times: int) -> list[Quote]:
    return [Quote(time, 100 + place, 101 + place) for place, time in enumerate(times)]


def test_quotes_of_the_same_millisecond_are_told_apart_by_their_place() -> None:
    first, seen = unseen(at(5, 5, 7), Seen(0, 0))
    assert (len(first), seen) == (3, Seen(7, 1))

    new, seen = unseen(at(5, 5, 7, 7, 9), seen)
    assert ([quote.time_utc_ms for quote in new], seen) == ([7, 9], Seen(9, 1))


def test_what_was_taken_before_is_not_taken_again() -> None:
    _, seen = unseen(at(5, 6), Seen(0, 0))
    assert unseen(at(5, 6), seen) == ([], seen)


@given(st.lists(st.integers(1, 30), max_size=60).map(sorted), st.data())
def test_however_it_is_cut_everything_comes_once_and_in_order(times: list[int], data: st.DataObject) -> None:
    quotes, seen, taken = at(*times), Seen(0, 0), list[Quote]()
    shown = 0
    while shown < len(quotes):
        shown = data.draw(st.integers(shown, len(quotes)))
        since = [quote for quote in quotes[:shown] if quote.time_utc_ms >= seen.time_utc_ms]
        new, seen = unseen(since, seen)
        taken += new
        if shown < len(quotes):
            shown += 1
    new, seen = unseen([quote for quote in quotes if quote.time_utc_ms >= seen.time_utc_ms], seen)
    assert taken + new == quotes
