import pytest

from evenkeel.rules.instants import duration_text, utc_text


def test_an_instant_is_told_to_the_second_in_utc() -> None:
    assert utc_text(1_767_571_440_999) == "2026-01-05 00:04:00 UTC"


@pytest.mark.parametrize(
    "duration_ms, text",
    [
        (0, "0 s"),
        (1, "1 s"),
        (119_001, "2 min 0 s"),
        (312_345, "5 min 13 s"),
        (7_200_000, "2 h 0 min"),
        (12 * 3_600_000 + 1, "12 h 1 min"),
        (49 * 3_600_000, "2 d 1 h"),
    ],
)
def test_a_duration_is_never_told_shorter_than_it_is(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text
