"""Streaming indicators over closed bars: a frozen state in, the next one out, integers only.

Each module is one kernel: a struct whose size is bounded, `..._after(state, ...)` that takes in one bar, and readings that are
None until enough bars were taken in. A state that was encoded, decoded and taken on gives what it would have given. A gap
between two bars is not seen here: what a missing bar means is for whoever feeds them.
"""
