"""What notebooks show: short cards without a script, and the losses of a fit as a table and a figure."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.browser import needs_chromium
from tests.screen import NARROW, WIDE, look_at

import scdiffuse as scd
from scdiffuse._core.errors import NotFittedError
from scdiffuse._core.html import html_card
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.words: list[str] = []
        self.styles = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.opened[tag] += 1
        self.styles += str(dict(attrs).get("style", ""))
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self.closed[tag] += 1

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _cards(fitted: CellGenerator, simulated: ad.AnnData, small: ModelConfig) -> dict[str, Any]:
    return {
        "model": fitted,
        "not fitted": CellGenerator(simulated, conditions=["cell_type"], config=small, progress=False),
        "seen": fitted.support({"cell_type": "B", "day": 0.7}),
        "unseen": fitted.support({"cell_type": "B", "treated": True}),
        "split": scd.split(simulated, by="treated"),
    }


WORDS = {
    "model": ["CellGenerator, fitted", "cell_type", "T, NK, B", "0 to 2", "autoencoder loss", "150"],
    "not fitted": ["CellGenerator, not fitted", "Next: model.fit()"],
    "seen": ["Seen in training", "day 0.7 lies between the measured 0.5 and 1: this is interpolation.", "nearest 1"],
    "unseen": ["in training", "cells alone"],
    "split": ["Split", "90 cells (60%)", "30 cells (20%)"],
}


@pytest.mark.parametrize("name", WORDS)
def test_cards_say_what_an_object_is(
    fitted: CellGenerator, simulated: ad.AnnData, small: ModelConfig, name: str
) -> None:
    html = _cards(fitted, simulated, small)[name]._repr_html_()
    page = Page(html)
    shown = " | ".join(page.words)
    assert [word for word in WORDS[name] if word not in shown] == []
    assert page.opened == page.closed
    assert set(page.opened) <= {"div", "strong", "table", "tr", "th", "td"}
    assert len(html) < 6000


def test_cards_take_the_colours_of_the_page_and_escape_names() -> None:
    page = Page(html_card(HOSTILE, {HOSTILE: HOSTILE, "long": "x" * 1000}, note=HOSTILE))
    assert set(page.opened) == {"div", "strong", "table", "tr", "th", "td"}
    assert page.words.count(HOSTILE) == 4
    assert "border:1px solid currentColor" in page.styles
    assert "#" not in page.styles  # of no colour of its own
    assert max(len(word) for word in page.words) == 400


def test_a_hostile_label_is_shown_and_does_not_act(simulated: ad.AnnData, small: ModelConfig) -> None:
    cells = simulated.copy()
    cells.obs["cell_type"] = cells.obs["cell_type"].cat.rename_categories({"B": HOSTILE})
    html = CellGenerator(cells, conditions=["cell_type"], config=small, progress=False)._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script" not in html


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (NARROW, True)])
def test_cards_are_read_in_light_and_dark_notebooks_wide_and_narrow(
    fitted: CellGenerator, simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, width: int, *, dark: bool
) -> None:
    cards = "<br>".join(one._repr_html_() for one in _cards(fitted, simulated, small).values())
    long = html_card("x" * 300, {"A name of several words " * 2: "word " * 90, "y" * 40: "z" * 400})
    style = "background:#111;color:#ddd" if dark else "background:#fff;color:#111"
    page = tmp_path / "cards.html"
    head = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
    page.write_text(f'{head}<body style="margin:0;{style}">{cards}<br>{long}', encoding="utf-8")
    screen = look_at(page, tmp_path / "cards.png", width=width, dark=dark)
    assert screen.errors == []
    assert screen.problems == []


def test_losses_are_a_table(fitted: CellGenerator) -> None:
    table = fitted.history_frame
    assert list(table.columns) == ["stage", "step", "training_loss", "validation_loss"]
    again = {
        stage: [tuple(row) for row in own.drop(columns="stage").itertuples(index=False)]
        for stage, own in table.groupby("stage", sort=False)
    }
    assert again == {stage: [tuple(point) for point in points] for stage, points in fitted.history.items()}


def test_losses_are_drawn_with_the_best_point(fitted: CellGenerator) -> None:
    panels = scd.plot_history(fitted).axes
    assert [axes.get_title() for axes in panels] == list(fitted.history)
    for axes, points in zip(panels, fitted.history.values(), strict=True):
        training, held_out, best = (np.asarray(line.get_ydata()) for line in axes.lines)
        assert training.tolist() == [loss for _, loss, _ in points]
        assert held_out.tolist() == [loss for _, _, loss in points]
        assert best.item() == held_out.min()


def test_a_model_without_losses_is_not_drawn(simulated: ad.AnnData, small: ModelConfig) -> None:
    model = CellGenerator(simulated, config=small, progress=False)
    assert model.history_frame.empty
    with pytest.raises(NotFittedError, match=r"`plot_history` needs a fitted model.* Call `fit\(\)` first"):
        scd.plot_history(model)
