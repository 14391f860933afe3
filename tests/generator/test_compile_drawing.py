from __future__ import annotations

from typing import Any

from scdiffuse.autoencoder.cpu._draw_kernels import draw_cells
from scdiffuse.generator import CellGenerator, compile_drawing


def test_generated_cells_find_the_loops_that_were_compiled(fitted: CellGenerator) -> None:
    compile_drawing()
    loops: Any = draw_cells
    known = list(loops.signatures)
    fitted.generate(3, progress=False)
    assert loops.signatures == known
