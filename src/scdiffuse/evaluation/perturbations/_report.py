"""The result of an evaluation of perturbations: verdict, numbers, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from scdiffuse._core.endings import PAGES, require_ending
from scdiffuse._core.errors import UnknownNameError
from scdiffuse._core.outputs import require_output, write_text
from scdiffuse.evaluation._formatting import join_words
from scdiffuse.evaluation.perturbations._page import render_fragment, render_page, render_section
from scdiffuse.evaluation.perturbations._rows import BASELINES, CONTROLS, REAL_HALF, TITLES
from scdiffuse.evaluation.perturbations._summary import Level, MeasureRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HeldOutRecord", "PerturbationJson", "PerturbationReport", "PerturbationSettings"]

_ALL = "all"


class HeldOutRecord(TypedDict):
    """Scores of one held-out perturbation, in its cell type."""

    cell_type: str
    perturbation: str
    n_real: int
    """Real cells; one half of them is compared with."""
    n_predicted: int | None
    """Predicted cells; ``None`` where means were given."""
    n_cells: int
    """Cells a side of a comparison of cells."""
    n_others: int
    """Other perturbations of the type, which gene weights are found against; 0 where control cells stand in."""
    measures: dict[str, MeasureRecord]
    reasons: dict[str, str]
    """Why a row is blank."""


class PerturbationSettings(TypedDict):
    """How the numbers were measured."""

    perturbation_key: str
    control: str
    cell_type_key: str | None
    expression: str
    predicted_values: str
    n_genes: int
    n_top: int
    fdr: float
    n_draws: int
    max_cells: int
    seed: int
    version: str
    notes: list[str]


class PerturbationJson(TypedDict):
    """A report as plain values."""

    verdict: str
    level: Level
    measures: dict[str, MeasureRecord]
    held_out: list[HeldOutRecord]
    settings: PerturbationSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class PerturbationReport:
    """Scores of predicted perturbations beside baselines and real cells, and what they mean."""

    measures: dict[str, MeasureRecord]
    """Scores over all held-out perturbations by measure: rows, normalised score, level."""
    held_out: list[HeldOutRecord]
    """The same for each held-out perturbation, in its cell type."""
    settings: PerturbationSettings
    """How it was measured."""

    def __repr__(self) -> str:
        """Write the verdict and the table."""
        return f"{self.verdict}\n\n{self.table().to_string(float_format=lambda value: f'{value:.3g}', na_rep='')}"

    def _repr_html_(self) -> str:
        """Show verdict and tables in a notebook."""
        return render_fragment(self)

    def section(self) -> str:
        """Write the section that `Report.save` puts into its page.

        Returns
        -------
        HTML without references to other files or sites.
        """
        return render_section(self)

    @cached_property
    def level(self) -> Level:
        """What the measures say together.

        ``"ahead"``: of every baseline, in every measure that can tell. ``"not_ahead"``: not in some measure.
        ``"too_few"``: no measure can tell. ``"unscored"``: nothing was measured.
        """
        levels = {one["level"] for one in self.measures.values()}
        order: tuple[Level, ...] = ("not_ahead", "ahead", "too_few")
        return next((one for one in order if one in levels), "unscored")

    @cached_property
    def verdict(self) -> str:
        """What the numbers mean, in a sentence or two."""
        scored = [one for one in self.measures.values() if one["level"] != "unscored"]
        if not scored:
            return "Nothing was scored."
        ahead = [one for one in scored if one["level"] == "ahead"]
        start = "Ahead of every baseline in"
        count = "every measure" if len(ahead) == len(scored) else f"{len(ahead)} of {len(scored)} measures"
        sentences = [f"{start} {count}." if ahead else f"Ahead of every baseline in none of {len(scored)} measures."]
        sentences += self._behind()
        known = {name for one in scored for name, row in one["rows"].items() if row is not None and name in BASELINES}
        if len(known) < len(BASELINES):
            n = len(BASELINES) - len(known)
            sentences.append(f"Of {len(BASELINES)} baselines {n} could not be computed, see the notes.")
        doubt = [one["title"] for one in scored if one["level"] == "too_few"]
        if doubt:
            sentences.append(f"Too few cells to tell in {join_words(doubt, most=2)}.")
        return " ".join(sentences)

    def _behind(self) -> Iterator[str]:
        """Name the baselines that the prediction does not beat, with the measures."""
        by_baseline: dict[str, list[str]] = {}
        for one in self.measures.values():
            if one["level"] == "not_ahead":
                by_baseline.setdefault(one["not_ahead_of"][0], []).append(one["title"])
        if by_baseline:
            ranked = sorted(by_baseline, key=lambda name: -len(by_baseline[name]))
            named = [f"{TITLES[name]!r} ({join_words(by_baseline[name], most=2)})" for name in ranked]
            yield f"Not ahead of {join_words(named)}."

    def table(self, held_out: tuple[str, str] | None = None) -> pd.DataFrame:
        """Show the scores of all rows side by side.

        Parameters
        ----------
        held_out
            Cell type (empty where types are not distinguished) and perturbation; the average over all if not given.

        Returns
        -------
        A row a measure and a column a row of the comparison, with the normalised score, its interval, the best baseline
        and the level behind them; missing where blank.

        Raises
        ------
        UnknownNameError
            There is no such held-out perturbation.
        """
        import pandas as pd

        measures = self.measures
        if held_out is not None:
            known = {(one["cell_type"], one["perturbation"]): one for one in self.held_out}
            if held_out not in known:
                msg = f"`held_out` is {held_out!r}, expected one of {list(known)}. Choose one of them."
                raise UnknownNameError(msg)
            measures = known[held_out]["measures"]
        lines = {}
        for name, one in measures.items():
            values = {row: None if held is None else held["value"] for row, held in one["rows"].items()}
            keys = ("normalised", "normalised_low", "normalised_high", "best", "level")
            lines[name] = values | {key: one[key] for key in keys}  # type: ignore[literal-required]
        columns = [*TITLES, "normalised", "normalised_low", "normalised_high", "best", "level"]
        frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("measure")
        numbers = [*TITLES, "normalised", "normalised_low", "normalised_high"]
        return frame.astype(dict.fromkeys(numbers, float))

    def to_frame(self) -> pd.DataFrame:
        """List all scores, one a line.

        Returns
        -------
        Columns ``cell_type``, ``perturbation`` (``"all"`` for the average over them), ``measure``, ``row``,
        ``kind`` (``"prediction"``, ``"baseline"``, or ``"control"``, which knows the answer), ``value``, ``low``,
        ``high``, ``normalised`` (0 at the best baseline, 1 at another half of the real cells), ``n_cells``, ``reason``
        (why it is blank).
        """
        import pandas as pd

        lines = list(_lines("", _ALL, self.measures, n_cells=None, reasons={}))
        for one in self.held_out:
            where = (one["cell_type"], one["perturbation"])
            lines += _lines(*where, one["measures"], n_cells=one["n_cells"], reasons=one["reasons"])
        return pd.DataFrame(lines)

    def to_json(self, path: str | Path | None = None, *, overwrite: bool = False) -> PerturbationJson:
        """Return verdict and numbers as plain values, and write them to a JSON file if a path is given.

        Parameters
        ----------
        path
            File to write.
        overwrite
            Replace an existing file.

        Returns
        -------
        ``{"verdict": ..., "level": ..., "measures": ..., "held_out": ..., "settings": ...}``.

        Raises
        ------
        OutputExistsError
            The file exists and ``overwrite`` is false.
        """
        plain: PerturbationJson = {
            "verdict": self.verdict,
            "level": self.level,
            "measures": self.measures,
            "held_out": self.held_out,
            "settings": self.settings,
        }
        if path is not None:
            write_text(path, json.dumps(plain, indent=1, allow_nan=False), overwrite=overwrite)
        return plain

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the report as one self-contained HTML page that needs no network.

        Parameters
        ----------
        path
            The ``.html`` file.
        overwrite
            Replace an existing file.

        Returns
        -------
        The path written.

        Raises
        ------
        OutputExistsError
            The file exists and ``overwrite`` is false.
        SettingError
            The name does not end with ``.html``.
        """
        path = Path(path)
        require_ending(path, PAGES)
        require_output(path, overwrite=overwrite)
        write_text(path, render_page(self), overwrite=overwrite)
        return path


def _lines(
    cell_type: str,
    perturbation: str,
    measures: dict[str, MeasureRecord],
    *,
    n_cells: int | None,
    reasons: dict[str, str],
) -> Iterator[dict[str, object]]:
    for name, one in measures.items():
        for row, held in one["rows"].items():
            kind = "baseline" if row in BASELINES else "control" if row in CONTROLS else "prediction"
            value, low, high = (None,) * 3 if held is None else (held["value"], held["low"], held["high"])
            yield {
                "cell_type": cell_type,
                "perturbation": perturbation,
                "measure": name,
                "row": row,
                "kind": kind,
                "value": value,
                "low": low,
                "high": high,
                "normalised": _normalised(one, value),
                "n_cells": n_cells,
                "reason": reasons.get(row, "") if held is None else "",
            }


def _normalised(one: MeasureRecord, value: float | None) -> float | None:
    """Place a value between the best baseline and real cells, where the two can be distinguished."""
    if value is None or one["best"] is None or one["normalised"] is None:
        return None
    best, ceiling = one["rows"][one["best"]], one["rows"][REAL_HALF]
    assert best is not None
    assert ceiling is not None
    return (value - best["value"]) / (ceiling["value"] - best["value"])
