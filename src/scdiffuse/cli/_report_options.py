"""Options that ``evaluate`` and ``audit`` share, and what they say together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from scdiffuse._core.endings import PAGES, require_ending
from scdiffuse.cli._cells import layer_named
from scdiffuse.cli._options import (
    AsJson,
    By,
    Donor,
    LabelTable,
    Layer,
    MaxCells,
    NoProgress,
    Overwrite,
    ReportOutput,
    Round,
    Seed,
    UseRaw,
)

__all__ = ["ReportOptions", "takes_report_options"]


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """How real cells are read and compared, and where the report goes; each field is an option of its name."""

    output: ReportOutput = None
    by: By = None
    donor: Donor = None
    labels: LabelTable = None
    layer: Layer = None
    use_raw: UseRaw = False
    as_whole: Round = False
    max_cells: MaxCells = 5000
    seed: Seed = 0
    as_json: AsJson = False
    overwrite: Overwrite = False
    no_progress: NoProgress = False

    @property
    def counts_layer(self) -> str | None:
        """The layer that ``--layer`` or ``--use-raw`` names."""
        return layer_named(self.layer, use_raw=self.use_raw)

    def require_output(self, inputs: Iterable[Path | None]) -> None:
        """Check the file of the report, before anything is read.

        Parameters
        ----------
        inputs
            Files of cells, which the report must not replace.

        Raises
        ------
        UserError
            It is an input, exists without ``--overwrite``, or is no ``.html``.
        """
        from scdiffuse._core.outputs import require_output

        if self.output is not None:
            require_ending(self.output, PAGES, name="output")
            require_output(self.output, overwrite=self.overwrite, inputs=[*inputs, self.labels])


def takes_report_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of `ReportOptions` as options, after its own.

    Parameters
    ----------
    command
        A function with the parameter ``shared``, which takes them as one `ReportOptions`.
    """
    names = [one.name for one in fields(ReportOptions)]

    def with_shared(**given: Any) -> None:  # noqa: ANN401 - values of any option
        shared = ReportOptions(**{name: given.pop(name) for name in names})
        command(**given, shared=shared)

    hints = get_type_hints(command, include_extras=True) | get_type_hints(ReportOptions, include_extras=True)
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "shared"]
    added = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default)
        for one in fields(ReportOptions)
    ]
    with_shared.__name__, with_shared.__doc__ = command.__name__, command.__doc__
    with_shared.__annotations__ = {one.name: hints[one.name] for one in (*own, *added)}
    with_shared.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [one.replace(annotation=hints[one.name]) for one in (*own, *added)]
    )
    return with_shared
