"""The page on architecture has the layers that the linter enforces."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import scdiffuse as scd

ROOT = Path(scd.__file__).parents[2]


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    enforced = [(at, set(re.findall(r"\w+", layer))) for at, layer in enumerate(reversed(layers))]
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE)
    shown = [(at, {package for layer, package in rows if int(layer) == at}) for at in range(len(layers))]
    assert shown == enforced
    packages = {init.parent.name for init in (ROOT / "src/scdiffuse").glob("*/__init__.py")}
    assert packages == {package for _, package in rows}
