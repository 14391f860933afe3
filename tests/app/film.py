"""The short film of the app in the documents: ``python -m tests.app.film docs/images/app.gif``.

It fits a model to the bundled blood cells, serves it, and clicks through the page in Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright
from tests.app.browser_fixtures import EMULATED, go, on_map, ready, served
from tests.browser import CHROMIUM

from scdiffuse.cells import datasets
from scdiffuse.generator import CellGenerator

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SHOWN = (960, 688)
_COLOURS = 96
_EPOCHS = 60  # good enough to look at


def film(page: Page, shoot: Callable[[int], None]) -> None:
    """Ask for cells, look at them, compare them, follow them; `shoot` takes a picture for some milliseconds."""
    go(page, "generate")
    page.wait_for_selector('[aria-label="Method of the map"] [aria-pressed=true] >> text=UMAP')
    shoot(1200)
    page.hover('[aria-label^="Generate CD19+ B"]')
    shoot(700)
    page.click('[aria-label^="Generate CD19+ B"]')
    on_map(page, "generated")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    shoot(1500)
    page.click("#generate .chip >> text=any")
    page.click("#ask")
    page.wait_for_selector(".map-head >> text=500")
    page.wait_for_timeout(1500)
    shoot(1800)
    page.click("#map >> text=Together")
    page.select_option('[data-tool="by"]', "source")
    page.wait_for_timeout(500)
    shoot(1500)
    page.click("#map >> text=Side by side")
    for gene in ["CST3", "NKG7"]:
        page.fill(".genes input", gene)
        page.press(".genes input", "Enter")
        page.wait_for_selector(f".genes .chip >> text={gene}")
        page.wait_for_timeout(400)
        shoot(1200)
    page.select_option('[data-tool="by"]', "cell_type")
    page.wait_for_selector(".legend .key")
    _lasso(page, shoot)
    _compare(page, shoot)
    _follow(page, shoot)


def _compare(page: Page, shoot: Callable[[int], None]) -> None:
    """Compare what the lasso holds with the cells of a label: the volcano, and the map coloured by one of its genes."""
    page.click("text=Keep as A")
    page.click('.key[aria-label^="Select Dendritic"]')
    page.wait_for_timeout(300)
    shoot(1000)
    page.click("text=Keep as B")
    page.click("#compare")
    page.wait_for_selector("#below .dot", state="attached")
    page.evaluate("document.querySelector('#below .duo').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(400)
    shoot(2600)
    # The gene whose name the volcano writes first is the one that differs most.
    page.evaluate("""() => {
      const name = document.querySelector("#below text[paint-order]").textContent;
      const dot = [...document.querySelectorAll("#below .dot")].find((one) => one.textContent.startsWith(name + ":"));
      dot.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    }""")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(600)
    shoot(1400)
    page.select_option('[data-tool="by"]', "cell_type")


def _lasso(page: Page, shoot: Callable[[int], None]) -> None:
    page.click("text=Lasso")
    box = page.locator(".map-frame canvas").first.bounding_box()
    assert box is not None
    left, top, right, bottom = (
        box["x"] + 8,
        box["y"] + 40,
        box["x"] + 0.24 * box["width"],
        box["y"] + box["height"] - 10,
    )
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in [(right, top + 10), (right + 20, bottom - 40), (left, bottom)]:
        page.mouse.move(x, y, steps=6)
        shoot(350)
    page.mouse.up()
    page.wait_for_timeout(300)
    shoot(1200)


def _follow(page: Page, shoot: Callable[[int], None]) -> None:
    page.keyboard.press("Home")
    go(page, "whatif")
    page.click("#whatif >> text=Trajectory")
    page.click('#whatif .chip:has-text("CD14+ Monocyte")')
    page.click("#whatif-run")
    on_map(page, "trajectory")
    page.wait_for_selector("#state")
    page.wait_for_timeout(500)
    for state in range(10):
        page.evaluate(
            f"(at => {{ at.value = {state}; at.dispatchEvent(new Event('input')); }})(document.querySelector('#state'))"
        )
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(150)
        shoot(1200 if state in {0, 9} else 300)


def main(path: Path) -> None:
    """Make the film."""
    frames: list[Image.Image] = []
    lengths: list[int] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        cells = datasets.pbmc68k()
        cells.write_h5ad(Path(folder) / "blood.h5ad")
        CellGenerator(cells, conditions=["cell_type"]).fit(max_epochs=_EPOCHS, progress=False).save(
            Path(folder) / "blood.scd"
        )
        with served([Path(folder) / "blood.h5ad", Path(folder) / "blood.scd"], Path(folder) / "work") as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *EMULATED])
            page = browser.new_page(viewport={"width": 1200, "height": 860})
            page.set_default_timeout(300_000)
            page.goto(address)
            ready(page)

            def shoot(length: int) -> None:
                picture = (
                    Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize(_SHOWN, Image.Resampling.LANCZOS)
                )
                frames.append(picture.quantize(_COLOURS, dither=Image.Dither.NONE))
                lengths.append(length)

            film(page, shoot)
            browser.close()
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, loop=0, optimize=True)
    print(f"{path}: {len(frames)} pictures, {path.stat().st_size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
