"""evenkeel runs a MetaTrader 5 account on its own, as a supervised set of small actors."""
