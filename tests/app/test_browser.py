"""The page in real Chromium: files to verdict, asking for cells, what if; readable by all, on every width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
from tests.app.browser_fixtures import go, on_map, ready, show_made

if TYPE_CHECKING:
    from playwright.sync_api import Page

COUNT_CHOSEN = "scdiffuse.world.chosen ? scdiffuse.world.chosen.reduce((n, one) => n + one, 0) : 0"


def test_flow_a_leads_from_a_file_to_a_verdict(page: Page, blood: Path) -> None:
    go(page, "data")
    page.click("text=Open 700 blood cells")
    page.wait_for_selector("#data .card >> text=pbmc68k")
    page.set_input_files("#data input[type=file]", blood / "few.h5ad")
    page.click("text=/Merge \\d labels of cell_type/")
    page.wait_for_selector("#data .condition li >> text=other")
    _fit(page, epochs=5000)
    page.wait_for_selector("#data .charts svg")
    page.click("#data .job >> text=Cancel")
    page.wait_for_selector("#data .job .cancelled")
    page.click("#data .job >> text=Resume")
    page.reload()
    ready(page)
    page.click("#data .job >> text=Cancel")
    page.wait_for_selector("#data .job .cancelled")
    _fit(page, epochs=3)
    page.wait_for_selector("#data .job .done")
    assert "validation" in page.inner_text("#data .charts")
    assert "fit" in page.inner_text("#data .code pre >> nth=0")
    page.wait_for_selector("#data .verdict, #data .job .failed")
    assert page.locator("#data .job .failed").all_inner_texts() == []
    with page.expect_popup() as opened:
        page.click("text=Open the report")
    opened.value.wait_for_selector(".verdicts")


def _fit(page: Page, *, epochs: int) -> None:
    page.click("text=More settings")
    page.get_by_label("Quick: fit").check()
    page.get_by_label("Epochs at most").fill(str(epochs))
    page.click("#fit")


def test_flow_b_shows_cells_beside_real_ones(page: Page) -> None:
    go(page, "generate")
    page.click('[aria-label^="Generate CD34+, treated"]')
    on_map(page, "generated")
    assert "Out of distribution" in page.inner_text("#generate")
    assert "CD34+" in page.inner_text("#generate .code pre")
    assert page.locator(".map-head").all_inner_texts() == ["Real 700", "Generated 500"]

    page.click("text=Lasso")
    _draw_around(page, panel=0)
    real, made = page.evaluate(
        "[0, 1].map((side) => scdiffuse.world.chosen.reduce((n, one, row) => n + (one && (row < 700) === !side), 0))"
    )
    assert 0 < real < 700
    assert 0 <= made <= 500
    page.click("text=Keep as A")
    page.click('.key[aria-label^="Select Dendritic"]')
    assert page.evaluate(COUNT_CHOSEN) == 240
    page.click("text=Keep as B")

    page.click("#compare")
    page.wait_for_selector("#below .dot", state="attached")
    assert "cells in A" in page.inner_text("#below")
    with page.expect_download() as saved:
        page.click("text=All genes as csv")
    assert "log2_fold_change" in Path(saved.value.path()).read_text()

    page.fill(".genes input", "CD3D")
    page.press(".genes input", "Enter")
    page.wait_for_selector(".genes .chip >> text=CD3D")
    page.fill(".genes input", "LYZ")
    page.press(".genes input", "Enter")
    page.wait_for_selector(".genes .chip >> text=LYZ")
    page.locator(".map-head").nth(3).wait_for()
    assert page.locator(".map-head").count() == 4
    page.click(".genes >> text=counts")

    page.click("#below >> text=Dot plot")
    page.click("text=Draw")
    page.wait_for_selector(".chart.fixed")
    with page.expect_download() as figure:
        page.click('#below [aria-label="Save Dot plot as SVG"]')
    assert "var(--" not in Path(figure.value.path()).read_text()


def test_flow_c_asks_what_if(page: Page) -> None:
    go(page, "whatif")
    page.click("#whatif .chip >> text=treated")
    page.click("#whatif-run")
    on_map(page, "predicted")
    assert page.evaluate("scdiffuse.map().overlay.arrows.length") > 0
    page.wait_for_selector("#changes .dot", state="attached")
    assert "standard error" in page.inner_text("#changes table")

    page.click("#whatif >> text=Trajectory")
    page.click('#whatif .chip:has-text("CD19+ B")')
    page.get_by_label("States").fill("5")
    page.click("#whatif-run")
    page.focus("#state")
    first = page.evaluate("Array.from(scdiffuse.map().subsets.get('made').rows).sort()")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#state", "aria-valuetext") == " 2 of 5, weight of the target 0.25"
    assert page.evaluate("Array.from(scdiffuse.map().subsets.get('made').rows).sort()") != first

    page.click("#whatif >> text=Augment")
    page.click("#whatif-run")
    page.wait_for_selector("#changes >> text=Labels after augmentation")
    assert page.locator("#changes tbody tr").count() == 10
    go(page, "session")
    page.wait_for_selector("#session .code pre >> text=augment")
    page.click('#session li:has-text("augmented by") >> text=Close')
    page.wait_for_selector('.map-frame canvas[aria-label*=" 0 "]', state="attached")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_view_fits_and_is_accessible(page: Page, width: int, theme: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    show_made(page)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    for view in ["data", "generate", "whatif", "session"]:
        go(page, view)
        page.screenshot(path=tmp_path / f"{view}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], view


def test_the_map_obeys_the_keyboard(page: Page) -> None:
    show_made(page)
    page.focus(".map-frame canvas")
    for key in ["+", "+", "ArrowLeft"]:
        page.keyboard.press(key)
    view = page.evaluate("scdiffuse.map().view")
    assert view["zoom"] == pytest.approx(0.94 * 1.3**2)
    assert view["x"] < 0
    page.keyboard.press("v")
    assert 0 < page.evaluate(COUNT_CHOSEN) < 1200
    assert "are selected" in page.inner_text("#live")
    page.keyboard.press("Escape")
    assert page.evaluate(COUNT_CHOSEN) == 0
    page.click("text=The map as a table")
    page.wait_for_selector("#map table >> text=Dendritic")


def test_a_label_with_markup_is_text(page: Page, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    evil = "<img src=x onerror='document.title=1'>"
    cells = ad.AnnData(X=draw.poisson(3.0, (60, 12)).astype(np.float32))
    cells.obs["kind"] = np.where(np.arange(60) % 2, evil, "plain")
    cells.obs_names, cells.var_names = [f"c{at}" for at in range(60)], [f"<b>{at}</b>" for at in range(12)]
    cells.write_h5ad(tmp_path / "evil.h5ad")
    go(page, "data")
    page.set_input_files("#data input[type=file]", tmp_path / "evil.h5ad")
    page.wait_for_selector(f'#data .chip:has-text("{evil}")')
    go(page, "generate")
    page.wait_for_selector(f'.legend .key:has-text("{evil}")')
    assert page.locator("main img").count() == 0


def test_both_ways_to_draw_give_one_picture(page: Page) -> None:
    show_made(page)
    differ, frame = page.evaluate("""async () => {
      const [{ Points }, { Pixels }] = await Promise.all([import("./js/points.js"), import("./js/pixels.js")]);
      const map = scdiffuse.map(), n = 200_000;
      const state = Object.assign(new Float32Array(2 * n)).map((_, at) => Math.sin(at * 12.9898) * 0.9);
      const rows = Uint32Array.from({ length: n }, (_, at) => at);
      const paint = new Uint8Array(4 * n).map((_, at) => (at % 4 === 3 ? 255 : (at >> 2) % 2 ? 200 : 30));
      const panel = { x: 0, y: 0, width: 600, height: 500, order: "all", colours: "paint", view: [1, 1, 0, 0] };
      const pictures = [Points, Pixels].map((Kind) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 600, height: 500 });
        const drawer = new Kind(canvas);
        drawer.setPlaces(state);
        drawer.setColours("paint", paint);
        const few = { size: 6, paper: [1, 1, 1], veil: 0.8 };
        drawer.setOrder("all", rows.slice(0, 300), 150);
        drawer.draw([panel], few);
        const flat = Object.assign(document.createElement("canvas"), { width: 600, height: 500 }).getContext("2d");
        flat.drawImage(canvas, 0, 0);
        drawer.setOrder("all", rows);
        const frame = drawer.time([panel], { ...few, size: 2 }, 10);
        return { data: flat.getImageData(0, 0, 600, 500).data, frame };
      });
      let sum = 0, ink = 0;
      pictures[0].data.forEach((one, at) => {
        sum += Math.abs(one - pictures[1].data[at]);
        ink += 255 - one;
      });
      return [sum / ink, pictures[1].frame];
    }""")
    assert differ < 0.25  # half a pixel of shift at the edges of points of six pixels
    assert frame < 400  # milliseconds for 200,000 points; some ten on a machine that does nothing else


def test_the_page_lives_beneath_the_path_of_a_proxy(page: Page, site: str) -> None:
    home, _, token = site.partition("?")
    below = f"{home}user/ada/proxy/8765/"
    page.context.route(f"{below}**", lambda route: route.continue_(url=route.request.url.replace(below, home)))
    page.goto(f"{below}?{token}" if page.url != home else below)
    page.goto(below)
    ready(page)
    go(page, "generate")
    page.click("#ask")
    page.wait_for_selector("#generate .job .done")
    assert page.url.startswith(below)


def _draw_around(page: Page, *, panel: int) -> None:
    """Draw a lasso around the left half of a panel."""
    box = page.locator(".map-frame canvas").first.bounding_box()
    assert box is not None
    inner = page.evaluate(f"scdiffuse.map().boxes[{panel}]")
    left, top = box["x"] + inner["x"] + 4, box["y"] + inner["y"] + 4
    right, bottom = left + inner["width"] / 2, top + inner["height"] - 8
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in [(right, top), (right, bottom), (left, bottom)]:
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
