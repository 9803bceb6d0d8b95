"""MetaTrader 5 behind the Broker port: the package is imported where it is used, so this imports everywhere."""
