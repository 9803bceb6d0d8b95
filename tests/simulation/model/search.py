"""Breadth-first search over every state that a small model can reach.

A model is its states (hashable) and the steps between them. The search visits each state once, so it ends, and the first
bad state that it meets is one of the nearest to the start: its trace is a shortest one.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Final, NamedTuple, Protocol, TypeVar

STATES_MAX: Final = 100_000

S = TypeVar("S", bound=Hashable)
Step = tuple[str, S]
"""What happens, in words that tests may compare, and the state after it."""


class Model(Protocol[S]):
    def start(self) -> S: ...

    def steps(self, state: S, /) -> Iterator[Step[S]]:
        """Everything that may happen next; nothing, where the story has ended."""
        ...

    def wrong(self, state: S, /) -> str:
        """What must never be, in words; "" where all is well."""
        ...


class Found(NamedTuple):
    """`states` were visited. `wrong` "" means that every reachable state is well; else `trace` leads to the bad one."""

    states: int
    wrong: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        if not self.wrong:
            return f"{self.states} states, all well"
        return "\n".join([f"{self.wrong}, after {len(self.trace)} steps ({self.states} states):", *self.trace])


class TooManyStates(Exception):
    """The model is larger than `STATES_MAX`: what was found so far proves nothing."""


def search(model: Model[S]) -> Found:
    """Visit every reachable state, or stop at the nearest bad one. Raises TooManyStates."""
    first = model.start()
    came_from: dict[S, tuple[str, S] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        wrong = model.wrong(state)
        if wrong:
            return Found(len(came_from), wrong, _trace(came_from, state))
        for label, after in model.steps(state):
            if after not in came_from:
                came_from[after] = label, state
                queue.append(after)
        if len(came_from) > STATES_MAX:
            raise TooManyStates(f"more than {STATES_MAX} states")
    return Found(len(came_from), "", ())


def dead_ends(model: Model[S], is_well: Callable[[S], bool]) -> list[S]:
    """Every reachable state from which no state that `is_well` can be reached. Raises TooManyStates."""
    before: dict[S, list[S]] = {model.start(): []}
    queue = deque(before)
    while queue:
        state = queue.popleft()
        for _, after in model.steps(state):
            if after not in before:
                before[after] = []
                queue.append(after)
            before[after].append(state)
        if len(before) > STATES_MAX:
            raise TooManyStates(f"more than {STATES_MAX} states")
    hopeful = {state for state in before if is_well(state)}
    queue.extend(state for state in before if state in hopeful)
    while queue:
        for earlier in before[queue.popleft()]:
            if earlier not in hopeful:
                hopeful.add(earlier)
                queue.append(earlier)
    return [state for state in before if state not in hopeful]


def _trace(came_from: dict[S, tuple[str, S] | None], state: S) -> tuple[str, ...]:
    labels: list[str] = []
    while (step := came_from[state]) is not None:
        labels.append(step[0])
        state = step[1]
    return tuple(reversed(labels))
