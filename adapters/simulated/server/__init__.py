"""The trade server that the simulated terminal talks to: books, rules and money, in integers and without a clock of its own."""
