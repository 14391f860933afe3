"""What a metric declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scdiffuse.metrics._pair import Pair

__all__ = ["Metric", "Score", "Space"]

Group = Literal["paper", "distribution", "discriminators", "biology", "utility", "privacy"]
Space = Literal["counts", "genes", "counts+depth", "depth", "pcs", "labels"]


class Score(NamedTuple):
    """A metric's value, its 95 % interval where it brings one, and what gives the cells away."""

    value: float
    low: float | None = None
    high: float | None = None
    features: tuple[tuple[str, float], ...] = ()
    """Named features with their importance; they mean something only when the interval leaves the target out."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number about generated cells, with all that a reader needs to judge it."""

    name: str
    """Key in tables and JSON."""
    title: str
    """The same in plain words."""
    group: Group
    better: Literal["lower", "higher", "nearest"]
    """Direction; ``"nearest"`` to the target."""
    target: float
    """Value of a perfect generator with endless cells; real cells score their floor."""
    range: tuple[float, float]
    """Lowest and highest possible value."""
    source: str
    """Paper and equation."""
    cost: Literal["cheap", "moderate", "dear"]
    """About: below 1 s, below 10 s, above, for 2,500 cells a side and 2,000 genes."""
    space: Space
    """What it reads of a view."""
    compute: Callable[[Pair], Score]
    """Score a pair that lacks nothing; raises ``UserError`` where the cells do not allow it."""
    suite: Literal["quick", "full"] = "full"
    """The smallest suite that holds it."""
    needs: frozenset[str] = frozenset()
    """Of ``labels``, ``train``, ``reference``, ``donors``, ``train or reference``: what the pair must hold."""
    by_label: bool = False
    """Whether it makes sense within the cells of one label."""

    def missing(self, pair: Pair) -> tuple[str, ...]:
        """List what the pair lacks for this metric.

        Parameters
        ----------
        pair
            The samples to compare.

        Returns
        -------
        Names out of ``needs``, empty when the metric can be computed.
        """
        labelled = pair.real.labels is not None and pair.generated.labels is not None
        has = {
            "labels": labelled,
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

    def skill(self, value: float, *, floor: float, trivial: float) -> float:
        """Place a value between a trivial generator (0) and real cells (1).

        Parameters
        ----------
        value
            The generator's value.
        floor
            The value of real cells.
        trivial
            The value of a trivial generator.

        Returns
        -------
        (loss of trivial - loss of value) / (loss of trivial - loss of floor); NaN where the trivial generator is no
        worse than real cells, as the metric then separates nothing.
        """
        span = self.loss(trivial) - self.loss(floor)
        if not span > 0:
            return float("nan")
        return (self.loss(trivial) - self.loss(value)) / span
