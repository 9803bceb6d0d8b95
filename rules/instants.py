"""Instants and durations as a person reads them. Light: `status` starts in a blink."""

from datetime import UTC, datetime


def utc_text(utc_ms: int) -> str:
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock_of(utc_ms: int) -> str:
    """The time of day alone, UTC."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%H:%M:%S")


def duration_text(duration_ms: int) -> str:
    """The two largest units, rounded up to the smaller one: waiting that long is long enough."""
    seconds = -(-duration_ms // 1000)
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 120:
        return f"{seconds // 60} min {seconds % 60} s"
    hours = -(-minutes // 60)
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
