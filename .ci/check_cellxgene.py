"""Open all outputs in cellxgene, from an environment of its own: ``python .ci/check_cellxgene.py``.

cellxgene is frozen, so its versions are pinned here. It says of each matrix by rows, those of scanpy too, that one by
columns may be faster; any other warning, and any request that fails, is a fault.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

import anndata as ad

PACKAGES = ("cellxgene==1.3.0", "anndata<0.12", "setuptools<81", "zarr<3")
KNOWN = "Performance may be improved by using CSC"
SECONDS = 120


def main() -> int:
    """Write cells, open each file, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, nargs="?", help="cellxgene of an environment that exists already")
    program = parser.parse_args().program
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        program = program or _install(Path(folder) / "env")
        for path in write_cells(Path(folder)):
            found = open_cells(program, path)
            sys.stdout.write(f"{path.name}: {'; '.join(found) or 'opened without a warning'}\n")
            wrong += found
    return 1 if wrong else 0


def _install(env: Path) -> Path:
    venv.create(env, with_pip=True)
    subprocess.run([env / "bin" / "pip", "install", "-q", *PACKAGES], check=True)
    return env / "bin" / "cellxgene"


def write_cells(folder: Path) -> list[Path]:
    """Write generated, predicted and augmented cells and a trajectory of a small model."""
    import scdiffuse as scd

    adata = scd.datasets.pbmc68k()
    model = scd.CellGenerator(adata, conditions=["cell_type"], progress=False).fit(max_epochs=2, progress=False)
    labels = list(model.conditions.categorical["cell_type"])
    some = adata[:300].copy()  # cellxgene sends no answer of less than 500 bytes
    outputs = {
        "generated": model.generate(300, progress=False),
        "predicted": model.predict(some, {"cell_type": labels[0]}, progress=False),
        "trajectory": model.trajectory(some[:100], {"cell_type": labels[0]}, n_states=5, progress=False),
        "augmented": model.augment(adata, by="cell_type", n_per_label=40, progress=False),
    }
    for name, cells in outputs.items():
        cells.write_h5ad(folder / f"{name}.h5ad")
    return [folder / f"{name}.h5ad" for name in outputs]


def open_cells(program: Path, path: Path) -> list[str]:
    """Launch cellxgene with a file, ask for what its page asks for, and return warnings and failures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [program, "launch", path, "--port", str(port), "--host", "127.0.0.1", "--disable-annotations"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        wrong = _ask(process, f"http://127.0.0.1:{port}/api/v0.2", ad.read_h5ad(path))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        said = process.communicate()[0].splitlines()
    return wrong + [line for line in said if ("Warning" in line or "Error" in line) and KNOWN not in line]


def _ask(process: subprocess.Popen[str], address: str, cells: ad.AnnData) -> list[str]:
    end = time.monotonic() + SECONDS
    while True:
        try:
            schema = json.loads(_get(f"{address}/schema"))["schema"]
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                return ["cellxgene did not start"]
            time.sleep(0.5)
    columns = {one["name"] for one in schema["annotations"]["obs"]["columns"]}
    layouts = [one["name"] for one in schema["layout"]["obs"]]
    wrong = [f"column {name!r} is not shown" for name in cells.obs if name not in columns]
    wrong += [] if schema["dataframe"]["nObs"] == cells.n_obs else ["other numbers of cells"]
    wrong += [] if "scdiffuse" in layouts else [f"the latents are no layout: {layouts}"]
    index = schema["annotations"]["var"]["index"]
    parts = [f"layout/obs?layout-name={name}" for name in layouts]
    parts += [f"annotations/obs?annotation-name={name}" for name in columns]
    parts.append(f"data/var?var:{index}={cells.var_names[0]}")
    return wrong + [why for part in parts if (why := _try(f"{address}/{part}"))]


def _try(address: str) -> str:
    """Return why a part of the page is not there; nothing where it is."""
    try:
        return "" if _get(address, kind="application/octet-stream") else f"{address} is empty"
    except (OSError, http.client.HTTPException) as error:
        return f"{address}: {error}"


def _get(address: str, kind: str = "application/json") -> bytes:
    """Ask as a browser does, which takes packed answers; cellxgene gives no others."""
    headers = {"Accept": kind, "Accept-Encoding": "gzip"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        found: bytes = answer.read()
        return gzip.decompress(found) if answer.headers.get("Content-Encoding") == "gzip" else found


if __name__ == "__main__":
    sys.exit(main())
