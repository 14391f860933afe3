"""``scdiffuse demo``: fit, generate and evaluate on bundled example data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._messages import show
from scdiffuse.cli._options import NoProgress, Overwrite, Seed

__all__ = ["demo"]

_FILES = ("fit.h5ad", "held_out.h5ad", "pbmc68k.scd", "cells.h5ad", "cells.png", "report.html")
_N_CELLS = 2_000
_QUICK_EPOCHS = 20


def demo(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files that the demo writes.")] = Path(
        "demo"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fit for a few seconds only; the cells are less realistic.")
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit, generate and evaluate on bundled example data: 700 real blood cells."""
    import anndata as ad

    from scdiffuse._core.folders import MODEL
    from scdiffuse._core.outputs import require_folder, require_output
    from scdiffuse.cells import datasets, split
    from scdiffuse.cli._demo_figure import draw
    from scdiffuse.cli._report import show_report
    from scdiffuse.evaluation import evaluate
    from scdiffuse.generator import CellGenerator

    files = {name: output / name for name in _FILES}
    for path in files.values():
        if path.suffix == ".scd":
            require_folder(path, kind=MODEL, overwrite=overwrite)
        else:
            require_output(path, overwrite=overwrite)
    output.mkdir(parents=True, exist_ok=True)
    adata = datasets.pbmc68k()
    parts = split(adata, by="cell_type", seed=seed)
    show(
        f"Real cells: {adata.n_obs} x {adata.n_vars} genes; {parts.fit.n_obs} to fit, {parts.held_out.n_obs} held out."
    )
    parts.fit.write_h5ad(files["fit.h5ad"])
    parts.held_out.write_h5ad(files["held_out.h5ad"])
    model = CellGenerator(parts.fit, conditions=["cell_type"])
    epochs = _QUICK_EPOCHS if quick else None
    model.fit(max_epochs=epochs, seed=seed, progress=not no_progress)
    model.generate(_N_CELLS, seed=seed, path=files["cells.h5ad"], overwrite=overwrite, progress=not no_progress)
    report = evaluate(
        parts.held_out,
        files["cells.h5ad"],
        reference=parts.reference,
        train=parts.fit,
        by="cell_type",
        seed=seed,
        progress=not no_progress,
    )
    model.record_scores(report.to_json())
    model.save(files["pbmc68k.scd"], overwrite=overwrite)
    draw(parts.held_out, ad.read_h5ad(files["cells.h5ad"]), files["cells.png"])
    show_report(report, files["report.html"], as_json=False, overwrite=overwrite)
    for path in files.values():
        show(f"  {path}")
