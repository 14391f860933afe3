"""Perturbations of data sets, and which of their conditions fits leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.models import Fit, read

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmarks.study import Context

_MOST_TOGETHER = 10
_FEWEST_CELLS = 20  # of a condition that can be scored


class HeldOut(NamedTuple):
    """A condition that is left out."""

    context: str | None
    level: Any

    def __str__(self) -> str:
        """Name both."""
        return str(self.level) if self.context is None else f"{self.context}, {self.level}"


@dataclass(frozen=True, kw_only=True)
class Design:
    """A perturbation of a data set, in contexts such as cell types."""

    data_set: str
    key: str
    control: Any
    context: str | None = None
    """Column of the cell type, or of another context."""
    number: bool = False
    """Whether its levels are numbers."""
    together: str | None = None
    """One context in which the most frequent levels are left out at once: each is seen in the others."""
    ignored: tuple[str, ...] = ()
    """Labels that say nothing; their cells are left out of everything."""

    def cells(self, context: Context) -> AnnData:
        """Read the cells that have a level."""
        adata = read(self.data_set, context)
        return adata[~adata.obs[self.key].isin(self.ignored).to_numpy()] if self.ignored else adata

    def held_out(self, adata: AnnData) -> list[HeldOut]:
        """List the conditions to leave out, one after the other or together; all have cells enough to be scored."""
        found = self._levels(adata)
        return found if self.together else [one for one in found if self.rows(adata, one).sum() >= _FEWEST_CELLS]

    def _levels(self, adata: AnnData) -> list[HeldOut]:
        obs = adata.obs
        if self.context is None:
            return [HeldOut(None, level) for level in sorted(obs[self.key].unique()) if level != self.control]
        if self.together is not None:
            sizes = obs.loc[obs[self.context] == self.together, self.key].astype(str).value_counts()
            return [HeldOut(self.together, level) for level in sizes.index.drop(str(self.control))[:_MOST_TOGETHER]]
        found = obs.astype({self.key: str}).groupby(self.context, observed=True)[self.key].unique()
        return [
            HeldOut(str(one), level)
            for one, levels in found.items()
            for level in sorted(levels)
            if level != self.control and self.control in levels
        ]

    def rows(self, adata: AnnData, wanted: HeldOut) -> Any:  # noqa: ANN401 - an array of marks
        """Mark the cells of a condition."""
        wants = self.labels(wanted).items()
        return np.logical_and.reduce([(adata.obs[key] == label).to_numpy() for key, label in wants])

    def fit(self, adata: AnnData, wanted: HeldOut, seed: int) -> Fit:
        """Describe the fit without a condition, or without all that are left out together."""
        word = "".join(letter for letter in str(wanted.context or "") if letter.isalnum())
        label = f"no_most_frequent_in_{word}" if self.together else f"no_{wanted.level}" + (f"_{word}" if word else "")
        names = (self.key,) if self.context is None else (self.key, self.context)
        out = self.held_out(adata) if self.together else [wanted]
        return Fit(
            name=label,
            data_set=self.data_set,
            conditions=names[1:] if self.number else names,
            continuous=names[:1] if self.number else (),
            without=(*({self.key: one} for one in self.ignored), *map(self.labels, out)),
            seed=seed,
        )

    def labels(self, wanted: HeldOut) -> dict[str, Any]:
        """Write a condition as columns of `obs`."""
        return {self.key: wanted.level} | ({} if self.context is None else {self.context: wanted.context})


DESIGNS = {
    design.data_set: design
    for design in (
        Design(data_set="kang_ifnb", key="condition", control="control", context="cell_type"),
        Design(data_set="mouse_gut_organs", key="organ", control="stomach", context="cell_type"),
        Design(data_set="cell_lines_mixology", key="batch", control="sc_celseq2_5cl_p1", context="cell_type"),
        Design(data_set="a549_multiome", key="time", control=0, number=True),
        Design(data_set="malaria_pberghei", key="time", control=2, number=True),
        Design(
            data_set="papalexi_lowmoi",
            key="perturbation",
            control="non-targeting",
            context="batch",
            together="rep_2",
            ignored=("unassigned",),
        ),
    )
}
