"""What waits, what goes next, what is told together, what gives way."""

import msgspec

from evenkeel.messages.notifier import Event
from evenkeel.rules.notifier import Noted
from evenkeel.rules.outbox import (
    DONE_KEPT,
    GIVE_UP_MS,
    SAME_WITHIN_MS,
    TOGETHER_FROM,
    WAITING_MAX,
    OutboxState,
    Row,
    Sending,
    given_up,
    next_sending,
    put,
    settled,
    unjudged,
)

PHONE, SCRIPT = OUTLETS = ("phone", "script")
GRAVE, MILD = 1, 3


class Desk:
    """An outbox for two outlets, and a clock that the test moves."""

    def __init__(self) -> None:
        self.state, self.now_ms, self.count = OutboxState("abc"), 0, 0

    def put(self, text: str, severity: int = MILD, busy: set[int] | None = None, event: Event = Event.TRADE_OPENED) -> Row:
        self.count += 1
        one = Noted(self.count, event, severity, silent=False, text=text)
        return put(self.state, one, 100 + self.count, self.now_ms, self.now_ms, OUTLETS, busy or set())

    def next(self, outlet: str = PHONE, mild_left: int = 20) -> Sending | None:
        return next_sending(self.state, outlet, mild_left)

    def taken(self, outlet: str, *, is_taken: bool = True) -> list[Row]:
        sent = self.next(outlet)
        assert sent is not None
        return settled(self.state, outlet, sent, OUTLETS, is_taken=is_taken, at_utc_ms=self.now_ms)


def test_each_outlet_gets_each_notice_once_the_gravest_first() -> None:
    desk = Desk()
    desk.put("a trade")
    desk.put("unprotected", GRAVE)
    for outlet in OUTLETS:
        assert [row.text for row in desk.taken(outlet)] == (["unprotected"] if outlet == PHONE else [])
        desk.taken(outlet)
        assert desk.next(outlet) is None
    assert desk.state.rows == {}
    assert {tuple(row.fates) for row in desk.state.done} == {OUTLETS}


def test_one_that_an_outlet_does_not_take_stands_in_nobody_s_way() -> None:
    desk = Desk()
    desk.put("poison", GRAVE)
    desk.put("another", GRAVE)
    desk.taken(PHONE, is_taken=False)
    sent = desk.next(PHONE)
    assert sent is not None
    assert sent.text == "another"


def test_a_mild_notice_that_says_the_same_within_a_minute_is_counted_and_a_grave_one_never() -> None:
    desk = Desk()
    desk.put("quotes are gone")
    desk.put("quotes are gone")
    sent = desk.next()
    assert sent is not None
    assert (sent.text, sent.times, sent.seqs) == ("quotes are gone (2 times)", 2, (101, 102))
    desk.now_ms = SAME_WITHIN_MS + 1
    desk.put("quotes are gone")
    desk.put("in danger", GRAVE)
    desk.put("in danger", GRAVE)
    assert len(desk.state.rows) == 4


def test_what_is_beyond_the_minute_s_share_goes_in_one_with_how_many_more() -> None:
    desk = Desk()
    for number in range(37):
        desk.put(f"trade {number}", event=Event.TRADE_CLOSED if number < 12 else Event.LIMIT_REACHED)
    desk.put("the last")
    sent = desk.next(mild_left=3)
    assert sent is not None
    assert sent.text == "the last; and 37 more: 25 limit reached, 12 trade closed"
    assert (len(sent.numbers), sent.times, len(sent.seqs)) == (38, 38, 38)
    assert desk.next(mild_left=0) is None


def test_the_gravest_are_not_held_back_and_many_of_them_go_in_one() -> None:
    desk = Desk()
    for number in range(TOGETHER_FROM):
        desk.put(f"danger {number}", GRAVE)
    sent = desk.next(mild_left=0)
    assert sent is not None
    assert len(sent.numbers) == TOGETHER_FROM
    assert sent.severity == GRAVE


def test_the_same_name_is_the_same_notices() -> None:
    """prevents: a receiver that knows the number of one notice and throws away a summary that ends with it"""
    desk = Desk()
    for number in range(3):
        desk.put(f"trade {number}")
    single, together = desk.next(), desk.next(mild_left=1)
    assert single is not None
    assert together is not None
    assert (single.name, together.name) == ("1", "1-3")
    last = desk.state.rows[3]
    assert together.numbers[-1] == last.number


def test_a_full_outbox_drops_the_oldest_mild_one_and_never_a_grave_one() -> None:
    desk = Desk()
    desk.put("a trade")
    for number in range(WAITING_MAX):
        desk.put(f"danger {number}", GRAVE)
    assert [row.text for row in desk.state.done] == ["a trade"]
    assert desk.state.done[0].fates[PHONE].result == "dropped"
    newest = desk.put("one more danger", GRAVE)
    assert (newest.text, newest.count) == (f"danger {WAITING_MAX - 1}", 2)
    assert newest.seqs == [101 + WAITING_MAX, 102 + WAITING_MAX]
    assert len(desk.state.rows) == WAITING_MAX


def test_what_is_on_its_way_takes_nothing_in() -> None:
    desk = Desk()
    for number in range(WAITING_MAX):
        desk.put(f"danger {number}", GRAVE)
    row = desk.put("another", GRAVE, busy=set(desk.state.rows))
    assert (row.text, row.count) == ("another", 1)


def test_of_what_is_over_the_newest_are_kept() -> None:
    desk = Desk()
    for number in range(DONE_KEPT + 5):
        desk.put(f"trade {number}")
        desk.taken(PHONE)
        desk.taken(SCRIPT)
    assert len(desk.state.done) == DONE_KEPT
    assert desk.state.done[-1].text == f"trade {DONE_KEPT + 4}"


def test_an_outlet_that_never_takes_it_is_given_up_with_its_last_words() -> None:
    desk = Desk()
    desk.put("a trade")
    desk.taken(PHONE)
    desk.now_ms = GIVE_UP_MS[MILD] + 1
    (row,) = given_up(desk.state, OUTLETS, "script: HTTP 404", desk.now_ms)
    assert row.fates[PHONE].result == "delivered"
    assert (row.fates[SCRIPT].result, row.fates[SCRIPT].detail) == ("given_up", "script: HTTP 404")
    assert desk.state.rows == {}


def test_an_outlet_that_is_no_longer_configured_is_waited_for_no_longer() -> None:
    desk = Desk()
    desk.put("a trade")
    desk.taken(PHONE)
    put(desk.state, Noted(9, Event.RUN, MILD, False, "later"), 0, 0, 0, (PHONE,), ())
    assert [row.text for row in desk.state.done] == ["a trade"]


def test_it_is_read_back_as_it_was_written() -> None:
    desk = Desk()
    desk.put("danger", GRAVE)
    desk.taken(PHONE, is_taken=False)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(desk.state), type=OutboxState)
    assert again == desk.state
    assert [row.text for row in unjudged(again)] == ["danger"]
