"""What a round of one server is asked for, what it gives, and what voids it."""

from collections.abc import Mapping
from dataclasses import dataclass

from load import Load
from rows import Row


class Void(Exception):
    """A reply failed or was wrong: the server has no figure in this row."""


@dataclass(frozen=True)
class Turn:
    """One round of one server in a row that starts its servers afresh; what is drawn by `seed` is the same for all of them."""

    row: Row
    server: str
    number: int
    seconds: int
    seed: int


@dataclass(frozen=True)
class Sample:
    """One round of one server: figures by name, and the headline's split by process role."""

    round: int
    figures: Mapping[str, float]
    roles: Mapping[str, float]


def right(answer: Load) -> Load:
    """Returns the load if every reply was right."""
    if answer.failures:
        raise Void("; ".join(answer.failures))
    return answer
