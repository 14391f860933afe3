"""The page: whole, readable without colour, and silent in a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.browser import needs_chromium, open_page

from scdiffuse._core.errors import OutputExistsError
from scdiffuse.evaluation import Report, evaluate

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
    assert set(plain) == {"metrics", "by", "verdicts", "settings", "power"}
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
    several = replace(report, settings=settings | {"n_seeds": 3}).save(page.with_name("several.html"), umap=False)
    assert "3 draws of the cells, one a seed and stratified by type" in several.read_text(encoding="utf-8")


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
