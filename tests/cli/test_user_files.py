"""Files as users have them: one command fits each, or its message says the exact command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.studies.user_files import FILES, UserFile, cells, is_as_expected, words_of

from scdiffuse.cli import run
from scdiffuse.generator import CellGenerator


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[CellGenerator]:
    """Read the cells of a fit, and do not train."""
    models: list[CellGenerator] = []

    def fit(self: CellGenerator, *_: object, **__: Any) -> CellGenerator:
        models.append(self)
        return self

    monkeypatch.setattr(CellGenerator, "fit", fit)
    return models


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_a_file_of_a_user_is_fitted_or_told_the_command(
    file: UserFile, read: list[CellGenerator], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file.make(cells(), tmp_path)
    code = run(words_of(file, path, tmp_path / "model"))
    printed = capsys.readouterr().err
    assert is_as_expected(file, code, printed), printed
    assert len(read) == int(file.fits)
