"""Actors as a replay that jumps has them: prices are all known there, so they say beforehand which of them they must hear."""
