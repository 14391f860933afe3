"""The result of an evaluation: numbers, verdicts, and the page that shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scdiffuse._core.endings import PAGES, require_ending
from scdiffuse._core.outputs import require_output, write_text
from scdiffuse.evaluation._cell_figures import Drawing, Picture, draw_cells
from scdiffuse.evaluation._overall import overall_verdict
from scdiffuse.evaluation._page import render_fragment, render_page
from scdiffuse.evaluation._power_figure import draw_power
from scdiffuse.evaluation._report_types import MetricRecord, PowerRecord, ReportJson, ReportSettings
from scdiffuse.evaluation._score_figures import draw_overview, draw_types
from scdiffuse.evaluation._verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report"]

_COLUMNS = (
    "group",
    "title",
    "value",
    "low",
    "high",
    "reference",
    "normalised",
    "flagged",
    "trivial",
    "better",
    "detectable",
    "doubt",
    "n_cells",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Scores of generated cells with real-vs-real reference and baselines, verdicts, and the page that shows them."""

    title: str
    """Headline of the page."""
    metrics: dict[str, MetricRecord]
    """Scores by metric: ``value``, ``low``, ``high``, ``reference``, ``baselines``, ``normalised`` and more."""
    by: dict[str, dict[str, MetricRecord]]
    """Scores by label and metric."""
    verdicts: dict[str, Verdict]
    """What the numbers mean, by group."""
    settings: ReportSettings
    """How it was measured: sizes, seeds, splits, remarks, and why metrics are not scored."""
    power: PowerRecord | None = None
    """AUC against the cells that classifiers learn from: ``points``, ``cells_to_55``, ``cells_to_60``; ``None`` where
    there are too few cells."""
    drawing: Drawing | None = field(default=None, repr=False)
    """Cells that the figures show."""

    def __repr__(self) -> str:
        """List the verdicts, a line each, the overall one first."""
        lines = [f"{one.mark} {one.title}: {one.text}" for one in self.verdicts.values()]
        overall = f"{self.overall.mark} {self.overall.level_text}. {self.overall.text}"
        return "\n".join([self.title, overall, *lines])

    @property
    def overall(self) -> Verdict:
        """The worst verdict, and the groups of each."""
        return overall_verdict(self.verdicts)

    def _repr_html_(self) -> str:
        """Show verdicts, overview and table in a notebook."""
        return render_fragment(self, overview=self._overview)

    def to_json(self, path: str | Path | None = None, *, overwrite: bool = False) -> ReportJson:
        """Return the numbers as plain dictionaries, and write them to a JSON file if a path is given.

        Parameters
        ----------
        path
            File to write.
        overwrite
            Replace an existing file.

        Returns
        -------
        ``{"metrics": ..., "by": ..., "overall": ..., "verdicts": ..., "settings": ..., "power": ...}``; unknown numbers
        are ``None``.

        Raises
        ------
        OutputExistsError
            The file exists and ``overwrite`` is false.
        """
        plain: ReportJson = {
            "metrics": self.metrics,
            "by": self.by,
            "overall": self.overall.to_json(),
            "verdicts": {group: verdict.to_json() for group, verdict in self.verdicts.items()},
            "settings": self.settings,
            "power": self.power,
        }
        if path is not None:
            write_text(path, json.dumps(plain, indent=1, allow_nan=False), overwrite=overwrite)
        return plain

    def table(self) -> pd.DataFrame:
        """Show the scores as a table with one row per metric.

        Returns
        -------
        Indexed by metric, with group, title, value, interval, reference, every baseline, normalised score and flag;
        ``detectable`` is the first value that would have been told from the reference, and ``doubt`` says where there
        are too few cells to tell.
        """
        import pandas as pd

        names = sorted({name for one in self.metrics.values() for name in one["baselines"]})
        rows = {
            metric: {key: value for key, value in one.items() if key in _COLUMNS} | one["baselines"]
            for metric, one in self.metrics.items()
        }
        columns = [*_COLUMNS[:6], *names, *_COLUMNS[6:]]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("metric")

    def save(
        self, path: str | Path, *, overwrite: bool = False, umap: bool = True, perturbations: Section | None = None
    ) -> Path:
        """Write the report as one self-contained HTML page that needs no network.

        Parameters
        ----------
        path
            The ``.html`` file.
        overwrite
            Replace an existing file.
        umap
            Draw the cells by UMAP, which takes half a minute; otherwise by their first two principal components.
        perturbations
            Result of `evaluate_perturbations` on the same cells, shown as a section of the page.

        Returns
        -------
        The path written.

        Raises
        ------
        OutputExistsError
            The file exists and ``overwrite`` is false.
        SettingError
            The name does not end with ``.html``.
        StorageError
            The file cannot be written: no permission or no space.
        """
        path = Path(path)
        require_ending(path, PAGES)
        require_output(path, overwrite=overwrite)
        page = render_page(
            self,
            overview=self._overview,
            types=self._types,
            pictures=self._pictures(umap=umap),
            sections=[] if perturbations is None else [perturbations.section()],
        )
        write_text(path, page, overwrite=overwrite)
        return path

    @cached_property
    def _overview(self) -> Picture | None:
        return draw_overview(self.metrics)

    @cached_property
    def _types(self) -> Picture | None:
        return draw_types(self.by, self.settings.get("labels", {}))

    def _pictures(self, *, umap: bool) -> list[Picture]:
        curve = [] if self.power is None else [draw_power(self.power)]
        return curve + ([] if self.drawing is None else draw_cells(replace(self.drawing, umap=umap)))


class Section(Protocol):
    """Something that a page shows as a section."""

    def section(self) -> str:
        """Write it as HTML."""
