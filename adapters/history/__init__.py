"""Recorded prices from disk: ticks or bars of one symbol a file, in blocks, and several of them in one order of time."""

from evenkeel.adapters.history.bars import BarFile
from evenkeel.adapters.history.checks import HistoryUnreadable
from evenkeel.adapters.history.merged import Stretch, merged
from evenkeel.adapters.history.quotes import Counts, Quotes, Recorded
from evenkeel.adapters.history.ticks import TickFile

__all__ = ["BarFile", "Counts", "HistoryUnreadable", "Quotes", "Recorded", "Stretch", "TickFile", "merged"]
