from __future__ import annotations

from scdiffuse.autoencoder.cpu._draw_kernels import draw_cells
from scdiffuse.generator import CellGenerator, compile_drawing


def test_generated_cells_find_the_loops_that_were_compiled(fitted: CellGenerator) -> None:
    compile_drawing()
    known = list(draw_cells.signatures)
    fitted.generate(3, progress=False)
    assert draw_cells.signatures == known
