"""Labels, genes and files with hostile names: the report is drawn, and nothing of them runs in it."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.browser import needs_chromium, open_page

from scdiffuse.evaluation import Report, evaluate

OWN = "document.body.dataset.owned=1"
LABELS = (
    f"<script>{OWN}</script>",
    f"\"><img src=x onerror='{OWN}'>",
    "$\\frac{1}{$",
    "</style></title><link rel=stylesheet href=https://host.invalid/x.css>",
    "{{ 7 * 7 }}\x1b[31m",
    "_" + "x" * 300,
)
METRICS = ["energy", "composition", "boosting_pcs_auc"]


def _cells(seed: int) -> ad.AnnData:
    draw = np.random.default_rng(seed)
    kinds = np.arange(720) % len(LABELS)
    rates = np.random.default_rng(9).gamma(1.0, 3.0, (len(LABELS), 24))
    obs = pd.DataFrame({LABELS[0]: np.array(LABELS, dtype=object)[kinds]}, index=[f"{LABELS[1]}{at}" for at in kinds])
    obs.index = [f"{name}-{at}" for at, name in enumerate(obs.index)]
    var = pd.DataFrame(index=[f"{LABELS[at % len(LABELS)]}-{at}" for at in range(24)])
    return ad.AnnData(sp.csr_matrix(draw.poisson(rates[kinds]), dtype=np.float32), obs=obs, var=var)


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(
        _cells(1), _cells(2), train=_cells(3), by=LABELS[0], donor=LABELS[0], metrics=METRICS, progress=False
    )


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    return report.save(path, umap=False).read_text(encoding="utf-8")


def test_hostile_labels_are_in_the_report_as_text(report: Report, page: str) -> None:
    assert set(report.by) == set(LABELS)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page


@needs_chromium
def test_nothing_of_hostile_labels_runs_in_a_browser(page: str, tmp_path: Path) -> None:
    opened = open_page(page, tmp_path)
    assert opened.asked == []
    assert "data-owned" not in opened.dom
    assert not opened.complained


@needs_chromium
def test_the_browser_would_run_them_where_they_are_not_escaped(tmp_path: Path) -> None:
    assert "data-owned" in open_page(f"<body>{LABELS[0]}{LABELS[1]}", tmp_path).dom
