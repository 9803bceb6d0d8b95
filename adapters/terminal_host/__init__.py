"""The process that owns the one terminal, and how the supervisor speaks with it: a closed list of verbs over framed msgpack."""
