"""Labels and names that terminals or pages would obey, on the whole way through the command line."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from tests.attack.place import N_CELLS, SMALL, Place, cells

from scdiffuse.cli import run

LABELS = ("\x1b]0;owned\x07T", "<script>alert(1)</script>", "[x](javascript:y)", "two\n# heading")
COLUMN = "<b>kind"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What commands write of such cells, and the folder of the model."""
    folder = tmp_path_factory.mktemp("labels")
    made = cells()
    made.obs[COLUMN] = pd.Categorical(np.array(LABELS, dtype=object)[np.arange(N_CELLS) % len(LABELS)])
    made.var_names = [f"\x9b31m{name}" for name in made.var_names]
    made.write_h5ad(folder / "cells.h5ad")
    path, model, out = (str(folder / name) for name in ("cells.h5ad", "model", "out.h5ad"))
    calls = (
        ["inspect", path],
        ["fit", path, "-o", model, "-c", COLUMN, "--no-progress", *SMALL],
        ["inspect", model],
        ["inspect", model, "--where", f"{COLUMN}={LABELS[0]}"],
        ["inspect", model, "--json"],
        ["add-classifier", model, path, "--name", "<b>name", "--obs-key", COLUMN, "--max-epochs", "1"],
        ["generate", model, "-n", "8", "--where", f"{COLUMN}={LABELS[3]}", "-o", out],
    )
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        codes = [run(words) for words in calls]
    assert codes == [0] * len(calls), text.getvalue()
    return text.getvalue(), Path(model)


def test_no_label_reaches_the_terminal_as_a_command(printed: tuple[str, Path]) -> None:
    text, _ = printed
    assert "owned" in text
    assert not {one for one in text if (ord(one) < 32 and one != "\n") or 127 <= ord(one) < 160}
    assert not any(line.startswith("# heading") for line in text.splitlines())


def test_no_label_is_markup_on_the_card(printed: tuple[str, Path]) -> None:
    card = (printed[1] / "README.md").read_text(encoding="utf-8")
    assert "javascript:y" in card
    blocks = MarkdownIt("commonmark").enable("table").parse(card)
    kinds = {block.type for block in blocks} | {part.type for block in blocks for part in block.children or ()}
    assert not kinds & {"html_inline", "link_open", "image"}
    folds = [line for block in blocks if block.type == "html_block" for line in block.content.splitlines()]
    assert all(re.fullmatch(r"</?details>(<summary>[\w ]+</summary>)?", line) for line in folds)
    assert "heading" not in [block.content for block in blocks]


def test_what_is_typed_wrongly_is_shown_and_not_obeyed(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    model, name = str(place.model), "\x1b[31mx"
    named = ["add-classifier", model, str(place.cells), "--name", name, "--obs-key", "plate"]
    for words in (["generate", model, name], ["inspect", name], ["inspect", "x", f"--{name}"], named):
        assert run(words) == 2
    assert "\x1b" not in capsys.readouterr().err
