"""The declaration of a metric: name, direction, target, source, cost, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scdiffuse.metrics._sample_pair import SamplePair

__all__ = ["Metric", "Score", "Space"]

Group = Literal["two_sample", "distribution", "biology", "utility", "privacy", "luo2024"]
Space = Literal["counts", "genes", "counts+qc", "qc", "depth", "pcs", "labels"]


class Score(NamedTuple):
    """A metric's value, its 95 % interval where the metric has one, and the features that differ most."""

    value: float
    low: float | None = None
    high: float | None = None
    features: tuple[tuple[str, float], ...] = ()
    """Named features with their importance; they carry meaning only when the interval excludes the target."""
    p: float | None = None
    """Probability of as bad a value by chance, where the metric brings its own test; the test then decides the flag."""
    null: float | None = None
    """Value by chance, where the metric brings its own test."""
    doubt: str = ""
    """Why the metric cannot tell, such as too few cells; empty where it can. It then flags nothing."""
    sizes: tuple[tuple[str, int], ...] = ()
    """What the number was counted on, such as members and non-members."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number about generated cells, with everything that a reader needs to interpret it."""

    name: str
    """Key in tables and JSON."""
    title: str
    """Name in plain words, for tables and figures."""
    group: Group
    better: Literal["lower", "higher", "nearest"]
    """Direction; ``"nearest"`` to the target."""
    target: float
    """Value of a perfect generator with infinitely many cells; real cells reach the real-vs-real reference."""
    range: tuple[float, float]
    """Lowest and highest possible value."""
    source: str
    """Paper and equation."""
    cost: Literal["cheap", "moderate", "expensive"]
    """Below 1 s, below 10 s, or more, for 2,500 cells a side and 2,000 genes."""
    space: Space
    """Feature space that the metric reads."""
    compute: Callable[[SamplePair], Score]
    """Score a pair that holds everything in ``needs``; raises ``UserError`` where the cells do not allow it."""
    suite: Literal["quick", "full"] = "full"
    """The smallest suite that includes the metric."""
    needs: frozenset[str] = frozenset()
    """Of ``labels``, ``train``, ``reference``, ``donors``, ``train or reference``: what the pair has to hold."""
    by_label: bool = False
    """Whether the metric makes sense within the cells of one label."""
    alpha: float = 0.001
    """Level of the metric's own test, where it has one; 0 never flags, because the number only explains others."""

    def missing(self, pair: SamplePair) -> tuple[str, ...]:
        """List what this metric needs and the pair lacks.

        Parameters
        ----------
        pair
            The samples to compare.

        Returns
        -------
        Names from ``needs``; empty when the metric can be computed.
        """
        has_labels = pair.real.labels is not None and pair.generated.labels is not None
        has = {
            "labels": has_labels,
            "train": pair.train is not None,
            "reference": pair.reference is not None,
            "train or reference": pair.train is not None or pair.reference is not None,
            "donors": pair.real.donors is not None and pair.train is not None and pair.train.donors is not None,
        }
        return tuple(sorted(need for need in self.needs if not has[need]))

    def loss(self, value: float) -> float:
        """Measure how far a value is from the target, on the bad side.

        Parameters
        ----------
        value
            A value of this metric.

        Returns
        -------
        Distance, 0 at the target or beyond it on the good side.
        """
        if self.better == "nearest":
            return abs(value - self.target)
        gap = value - self.target if self.better == "lower" else self.target - value
        return max(gap, 0.0)  # NaN stays NaN in this order

    def normalise(self, value: float, *, reference: float, trivial: float) -> float:
        """Compute the normalised score: 0 for a trivial baseline, 1 for the real-vs-real reference.

        Parameters
        ----------
        value
            The generator's value.
        reference
            The value of the real-vs-real reference.
        trivial
            The value of a trivial baseline.

        Returns
        -------
        (loss of trivial - loss of value) / (loss of trivial - loss of reference). NaN where the trivial baseline is no
        worse than the reference, as the metric then separates nothing.
        """
        span = self.loss(trivial) - self.loss(reference)
        if not span > 0:
            return float("nan")
        return (self.loss(trivial) - self.loss(value)) / span
