"""Price files as others write them, read row by row into points; and the form that replays read, written."""

from evenkeel.adapters.exports.files import PriceFile, opened
from evenkeel.adapters.exports.lines import Faults
from evenkeel.adapters.exports.written import SUFFIXES, PricesUnwritten, write_prices

__all__ = ["SUFFIXES", "Faults", "PriceFile", "PricesUnwritten", "opened", "write_prices"]
