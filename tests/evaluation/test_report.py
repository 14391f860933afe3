"""The page: whole, readable without colour, and silent in a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.browser import needs_chromium, open_page
from tests.screen import NARROW, WIDE, look_at

from scdiffuse._core.errors import OutputExistsError
from scdiffuse.evaluation import Report, evaluate
from scdiffuse.evaluation._page import render_page

NAMES = ("boosting_pcs_auc", "energy", "coverage", "variance_error", "within_label_correlation_slope", "composition")


@pytest.fixture(scope="module")
def report(splits: Any) -> Report:
    """Cells without their rare type and without correlations."""
    from scdiffuse.evaluation.baselines import shuffled_genes

    made = shuffled_genes(splits.train, by="cell_type", n_cells=400, seed=3)
    made = made[made.obs["cell_type"] != "rare"].copy()
    return evaluate(
        splits.real,
        made,
        reference=splits.reference,
        train=splits.train,
        by="cell_type",
        metrics=NAMES,
        n_seeds=1,
        progress=False,
    )


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved page, drawn without UMAP."""
    return report.save(tmp_path_factory.mktemp("report") / "report.html", umap=False)


def test_the_json_holds_every_number_beside_its_reference_and_baselines(report: Report, tmp_path: Path) -> None:
    plain = report.to_json(tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")) == plain
    assert set(plain) == {"metrics", "by", "overall", "verdicts", "settings", "power"}
    energy = plain["metrics"]["energy"]
    assert {"value", "low", "high", "reference", "baselines", "normalised", "better", "group", "n_cells"} <= set(energy)
    assert set(energy["baselines"]) == {"independent_nb", "shuffled_genes", "class_mean_noise", "resampled"}
    assert plain["by"]["alpha"]["energy"]["reference"] is not None
    assert plain["verdicts"]["biology"]["flagged"] is True


def test_the_table_has_one_row_a_metric(report: Report) -> None:
    table = report.table()
    assert list(table.index) == list(NAMES)
    assert {"value", "reference", "normalised", "independent_nb", "resampled"} <= set(table.columns)


def test_a_notebook_shows_verdicts_and_overview(report: Report) -> None:
    shown = report._repr_html_()
    assert "No cell of rare" in shown
    assert shown.count("<img") == 1
    assert "No cell of rare" in repr(report)


def test_the_first_lines_give_the_overall_verdict_model_data_and_date(splits: Any, tmp_path: Path) -> None:
    made = splits.perfect.copy()
    made.uns["scdiffuse"] = {"version": "0.2.0", "model_hash": "3f2a90c1", "seed": 4}
    real = splits.real.copy()
    real.uns["source"] = "A study, CC BY 4.0"
    real.write_h5ad(tmp_path / "held_out.h5ad")
    found = evaluate(tmp_path / "held_out.h5ad", made, metrics=["mean_error"], n_seeds=1, progress=False)
    assert found.settings["model"] == "scdiffuse 0.2.0, model 3f2a90c1, seed 4"
    assert found.settings["data"] == "held_out.h5ad: A study, CC BY 4.0"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found.settings["date"])
    shown = found._repr_html_()
    start = shown.index("<h1>")
    places = [shown.index(text, start) for text in (found.overall.level_text, "3f2a90c1", "CC BY", "<li", "<table")]
    assert places == sorted(places)


def test_what_the_cells_do_not_say_is_not_made_up(report: Report) -> None:
    assert report.settings["model"] == report.settings["data"] == "not given"


def test_the_overall_verdict_is_the_worst_and_names_the_groups(report: Report) -> None:
    assert report.overall.level == "fails"
    assert report.overall.text.startswith("Fails: ")
    assert report.overall.text.endswith("All counts.")
    assert repr(report).splitlines()[1] == f"{report.overall.mark} Not like real cells. {report.overall.text}"
    passing = {"validity": report.verdicts["validity"]}
    assert replace(report, verdicts=passing).overall.level == "passes"


def test_rare_types_are_explained(report: Report, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "none generated" in text
    sizes = report.settings["labels"] | {"scarce": {"real": 7, "reference": 9, "generated": 8, "compared": 0}}
    shown = _words(replace(report, settings=report.settings | {"labels": sizes}))
    assert re.search(r"\d of 5 types .*scarce \(7 real, 9 other real, 8 generated\)", shown)
    assert "too few to compare" in shown
    assert "scdiffuse generate --where cell_type=..." in shown
    assert "Rare types" not in _words(replace(report, settings=report.settings | {"labels": {}}))


def _words(report: Report) -> str:
    """The page without figures, on one line."""
    return re.sub(r"\s+", " ", render_page(report, overview=None, types=None, pictures=()))


def test_no_text_of_a_figure_is_cut(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {kind: f"CD8-positive, alpha-beta memory T cell, CD45RO-positive, {kind}" for kind in report.by}
    sizes = {names.get(kind, kind): size for kind, size in report.settings["labels"].items()}
    assert report.drawing is not None
    pair = report.drawing.model
    real, made = (replace(one, labels=_renamed(one.labels, names)) for one in (pair.real, pair.generated))
    changed = replace(
        report,
        by={name: {"boosting_pcs_auc": report.metrics["boosting_pcs_auc"]} for name in names.values()},
        settings=report.settings | {"labels": sizes},
        drawing=replace(report.drawing, model=replace(pair, real=real, generated=made), umap=False),
    )
    canvases: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: canvases.append(self))
    assert changed._overview
    assert changed._types
    assert len(canvases) + len(changed._pictures(umap=False)) == 8
    for canvas in canvases:
        canvas.draw_without_rendering()
        shown = [one for one in canvas.findobj(Text) if one.get_text().strip() and one.get_visible()]
        assert not any("..." in one.get_text() for one in shown)
        texts = [
            one for one in shown if not re.fullmatch(r"\$.*|[\d.,\u2212]+", one.get_text())
        ]  # ticks beyond the view
        assert [one.get_text() for one in texts if not _is_inside(one.get_window_extent(), canvas)] == []


def _renamed(labels: Any, names: dict[str, str]) -> Any:
    return np.array([names.get(str(label), str(label)) for label in labels])


def _is_inside(box: Any, canvas: Figure) -> bool:
    whole = canvas.bbox
    return bool(min(box.x0, box.y0) >= -1 and box.x1 <= whole.x1 + 1 and box.y1 <= whole.y1 + 1)


def test_the_page_refers_to_nothing_outside(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r"(?:src|href|srcset|action|data)\s*=\s*[\"']([^\"']*)", text)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|<script|<link[^>]+stylesheet", text)


def test_every_figure_has_words_and_every_table_has_headers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r"<img [^>]*>", text)
    assert len(pictures) >= 7
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)
    assert text.count("<table>") == text.count("<thead>")
    assert re.search(r'<html lang="en">', text)
    assert next(re.finditer(r"<h([1-3])", text)).group(1) == "1"


def test_levels_are_given_in_words_and_signs_not_by_colour_alone(page: Path) -> None:
    badges = re.findall(r'class="badge"><span aria-hidden="true">(.)</span> ([^<]+)<', page.read_text(encoding="utf-8"))
    assert len(badges) >= 4
    assert {"\u2715", "\u2713"} & {sign for sign, _ in badges}
    assert all(words.strip() for _, words in badges)


def test_the_page_reports_how_many_repeats_its_numbers_come_from(report: Report, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    settings = report.settings
    assert "One seed: splits, subsamples and baselines are drawn once." in text
    assert f"in {settings['n_folds']} folds ({settings['n_folds_within_a_type']} within a type)" in text
    assert f"{settings['n_half_samples']} half samples of the cells" in text
    several = _words(replace(report, settings=settings | {"n_seeds": 3}))
    assert "3 draws of the cells, one a seed and stratified by type" in several


def test_a_page_is_not_overwritten_by_default(report: Report, page: Path) -> None:
    with pytest.raises(OutputExistsError, match="already exists"):
        report.save(page)


@needs_chromium
def test_chromium_opens_the_page_without_errors_or_requests(page: Path, tmp_path: Path) -> None:
    opened = open_page(page.read_text(encoding="utf-8"), tmp_path)
    assert opened.asked == []
    assert "No cell of rare" in opened.dom
    assert not opened.complained


@needs_chromium
def test_the_browser_check_would_notice_requests_and_errors(tmp_path: Path) -> None:
    text = '<body><img src="http://example.org/pixel.png"><script>console.error("spoilt")</script></body>'
    opened = open_page(text, tmp_path)
    assert opened.asked == ["http://example.org/pixel.png"]
    assert opened.complained


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (WIDE, True), (NARROW, True)])
def test_the_page_is_read_wide_narrow_light_and_dark(page: Path, tmp_path: Path, width: int, *, dark: bool) -> None:
    screen = look_at(page, tmp_path / "screen.png", width=width, dark=dark)
    assert screen.errors == []
    assert screen.problems == []
    assert screen.picture.stat().st_size > 10_000


@needs_chromium
def test_a_dark_notebook_shows_the_report_narrow(report: Report, tmp_path: Path) -> None:
    page = tmp_path / "cell.html"
    head = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
    dark = '<body data-jp-theme-light="false" style="margin:0;background:#111">'
    page.write_text(f"{head}{dark}{report._repr_html_()}", encoding="utf-8")
    screen = look_at(page, tmp_path / "screen.png", width=NARROW)
    assert screen.errors == []
    assert screen.problems == []


@needs_chromium
def test_the_look_would_notice_cut_faint_and_wide_text(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><body style='margin:0'><p style='width:2000px'>wide</p>"
        "<p style='width:50px;overflow:hidden;white-space:nowrap'>a text that is cut</p>"
        "<p style='color:#bbb'>faint</p><script>console.error('spoilt')</script>",
        encoding="utf-8",
    )
    screen = look_at(page, tmp_path / "screen.png")
    assert len(screen.errors) == 1
    for problem in ("the page is 2000 wide", "beyond the page", "cut", "faint"):
        assert any(one.startswith(problem) for one in screen.problems), screen.problems
