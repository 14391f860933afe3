"""What an evaluation measures, on how many cells, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse.evaluation._reading import ReadSettings
from scdiffuse.metrics import Metric

__all__ = ["LABEL_TREES", "MOST_CELLS", "N_FOLDS", "N_TREES", "Plan", "Suite", "check_settings"]

Suite: TypeAlias = Literal["quick", "full"]
MOST_CELLS: dict[str, dict[str, int]] = {
    "quick": {"cheap": 1000, "moderate": 500, "expensive": 500},
    "full": {"cheap": 5000, "moderate": 2500, "expensive": 2500},
}
"""Most cells a side for a metric, by suite and cost."""
N_FOLDS = {"quick": 3, "full": 5}
N_TREES = {"quick": 50, "full": 100}
"""Trees of a forest; averages over seeds make up for fewer."""
LABEL_TREES = {"quick": 50, "full": 100}
"""Trees of a forest within one label."""
_MOST_SEEDS, _MOST_CELLS_READ = 1_000, 10**9
_LARGEST_SEED = 2**32 - 1 - _MOST_SEEDS  # repeats count on from the seed
_TRAIN_FACTOR = 4  # memorised cells are searched in more training cells than are compared


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that an evaluation is asked for, apart from the cells."""

    title: str
    """Headline of the report."""
    metrics: tuple[Metric, ...]
    """Metrics to measure."""
    suite: Suite
    """Sets how many cells and folds each metric uses."""
    seeds: tuple[int, ...]
    """One repeat each."""
    max_cells: int
    """Most cells a side."""
    by: str | None
    """Column of ``obs`` with the cell type."""
    donor: str | None
    """Column of ``obs`` with the donor."""
    untrained: str | None = None
    """Column of ``obs`` with groups that were held out as a whole, where no donor is named."""
    notes: tuple[str, ...] = ()
    """What the report has to say of that column."""
    layer: str | None
    """Layer with the counts."""
    progress: bool
    """Whether to show a progress bar."""
    round_counts: bool = False
    """Whether counts of real cells with decimals are rounded."""
    skip_known_baselines: bool = False
    """Whether slow metrics skip the baselines whose score is known in advance."""
    power_curve: bool = False
    """Whether the AUC is also measured against the number of cells."""

    @property
    def by_label(self) -> tuple[Metric, ...]:
        """Metrics within each label; the quick suite leaves out expensive ones."""
        quick = self.suite == "quick"
        suited = [metric for metric in self.metrics if metric.by_label or metric.name == "memorised_cells"]
        return tuple(metric for metric in suited if metric.cost != "expensive" or not quick)

    @property
    def group(self) -> str | None:
        """Column within which cells are compared by attacks: the donor, or else that of groups held out as a whole."""
        return self.donor or self.untrained

    @property
    def read_settings(self) -> ReadSettings:
        """How every sample is read."""
        limits = {"real": 2 * self.max_cells, "generated": self.max_cells, "reference": 2 * self.max_cells}
        limits |= {"train": _TRAIN_FACTOR * self.max_cells, "truth": self.max_cells, "refitted": self.max_cells}
        return ReadSettings(limits=limits, layer=self.layer, by=self.by, donor=self.group, seed=self.seeds[0])

    def limit(self, metric: Metric) -> int:
        """Most cells a side for a metric, by its cost."""
        return min(self.max_cells, MOST_CELLS[self.suite][metric.cost])

    @property
    def most_compared(self) -> int:
        """Most cells a side over all metrics."""
        return max((self.limit(metric) for metric in self.metrics), default=0)


def check_settings(suite: str, n_seeds: int, max_cells: int, *, seed: int = 0) -> None:
    """Refuse settings that are out of range.

    Parameters
    ----------
    suite, n_seeds, max_cells, seed
        As for `evaluate`.

    Raises
    ------
    SettingError
        One of the settings is out of range.
    """
    if suite not in MOST_CELLS:
        msg = f"`suite` is {suite!r}, expected 'quick' or 'full'. Name single metrics with `metrics`."
        raise SettingError(msg)
    if not 1 <= n_seeds <= _MOST_SEEDS:
        msg = f"`n_seeds` is {n_seeds}, expected at least 1, and at most {_MOST_SEEDS}. One is enough for a first look."
        raise SettingError(msg)
    if not (isinstance(seed, int | np.integer) and 0 <= seed <= _LARGEST_SEED):
        msg = f"`seed` is {seed}, expected a whole number from 0 to {_LARGEST_SEED}, as scikit-learn takes it."
        raise SettingError(msg)
    if max_cells < 20:
        msg = f"`max_cells` is {max_cells}, expected at least 20. The default is 5,000."
        raise SettingError(msg)
    if max_cells > _MOST_CELLS_READ:
        msg = f"`max_cells` is {max_cells}, expected at most {_MOST_CELLS_READ:,}. The default is 5,000."
        raise SettingError(msg)
