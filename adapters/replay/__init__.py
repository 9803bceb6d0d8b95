"""Recorded quotes through the stepped host: tick by tick, or straight to the next quote that matters."""
