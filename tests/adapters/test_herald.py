"""What the watchdog tells outside: at once, by threads that nobody waits for."""

import threading

import pytest
from live import until
from loguru import logger

from evenkeel.adapters.herald import UNDER_WAY_MAX, Herald, herald_of
from evenkeel.adapters.outlets import Sent, Wire
from evenkeel.config.notifier import EventsConfig, NotifierConfig, OutletConfig


class Line:
    timeout_s = 1.0

    def __init__(self, *answers: Sent) -> None:
        self.answers, self.told = list(answers), list[Wire]()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def send(self, wire: Wire) -> Sent:
        self.told.append(wire)
        self.may_answer.wait(30)
        return self.answers.pop(0) if self.answers else Sent(True)


def herald(line: Line) -> Herald:
    return Herald("test", {"phone": line}, silent=False, utc_ms=lambda: 7)


def test_a_line_is_told_as_a_grave_crash() -> None:
    line = Line()
    herald(line).tell("the account is held")
    (wire,) = until(lambda: line.told)
    assert (wire.event, wire.severity, wire.text) == ("crash", 1, "the account is held")


def test_what_was_not_taken_is_told_again_by_the_same_name() -> None:
    line = Line(Sent(False, "HTTP 503"))
    herald(line).tell("it is down")
    until(lambda: len(line.told) >= 2)
    assert len({wire.id for wire in line.told}) == 1


def test_an_outlet_that_hangs_delays_nobody_and_takes_a_few_threads() -> None:
    line = Line()
    line.may_answer.clear()
    one = herald(line)
    for _ in range(UNDER_WAY_MAX + 5):
        one.tell("it is down")
    until(lambda: len(line.told) == UNDER_WAY_MAX)
    assert not line.may_answer.is_set(), "all of them were told while none was answered"
    line.may_answer.set()


@pytest.mark.parametrize(
    "config, said",
    [
        (NotifierConfig(events=EventsConfig(crash="off"), outlet={"a": OutletConfig(kind="program", command=("false",))}), []),
        (NotifierConfig(outlet={"a": OutletConfig(url_secret="nowhere_url")}), ["nobody outside can be told"]),
    ],
    ids=["off", "no secret"],
)
def test_where_nobody_can_be_told_it_watches_all_the_same(config: NotifierConfig, said: list[str]) -> None:
    logged: list[str] = []
    sink = logger.add(logged.append, format="{message}")
    herald_of(config, "test", lambda: 7).tell("it is down")
    logger.remove(sink)
    assert [line.partition(":")[0] for line in logged] == said
