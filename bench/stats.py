"""Medians, spreads and ratios of samples."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from samples import Sample


@dataclass(frozen=True)
class Figure:
    """One number per round, kept together with its median and range."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


def value(sample: Sample, name: str) -> float:
    """A figure by name, or with `role:NAME` one process role's part of the headline (0 if it has none)."""
    if name.startswith("role:"):
        return sample.roles.get(name.removeprefix("role:"), 0.0)
    return sample.figures[name]


def figure(samples: Sequence[Sample], name: str) -> Figure:
    return Figure(tuple(value(s, name) for s in samples))


def ratio(ours: Sequence[Sample], name: str, theirs: Sequence[Sample], their_name: str) -> Figure:
    """Divides round by round: what slows the machine for a whole round drops out."""
    base = {s.round: value(s, their_name) for s in theirs}
    return Figure(tuple(value(s, name) / base[s.round] for s in ours if base.get(s.round)))
