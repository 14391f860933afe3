"""Words of the command line: values of options, settings, tables of conditions, and places for outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.attack.files import Draw, copy_model
from tests.attack.law import Attempt
from tests.attack.odd import INTEGERS, JSON, NAMES, NUMBERS
from tests.attack.place import SMALL, Place

from scdiffuse.cli._settings import _flat
from scdiffuse.model import ModelConfig

__all__ = ["attack_options", "attack_places", "attack_settings", "attack_tables"]

SHELL = NAMES.filter(lambda word: "\ud800" not in word and word != "--help")
"""What a shell can hand over."""
PAIRS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["kind", "day", "plate", "kin", ""]) | SHELL,
    st.sampled_from(["=", "=", ""]),
    SHELL | NUMBERS,
)
TARGETS = st.builds("{}{}{}".format, PAIRS, st.sampled_from(["", ":"]), st.just("") | NUMBERS)
SHARED = {
    "--seed": INTEGERS,
    "--batch-size": INTEGERS,
    "--solver-steps": INTEGERS.filter(lambda text: text != str(2**31)),
    "--guidance": NUMBERS | PAIRS,
    "--toward": TARGETS,
    "--away": TARGETS,
    "--composition": st.just("additive") | SHELL,
    "--library-size": NUMBERS | st.builds("{},{}".format, NUMBERS, NUMBERS),
    "--layer": SHELL,
}
NO_SEED = {"--batch-size", "--solver-steps", "--toward", "--away", "--composition", "--library-size"}
OPTIONS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "generate": {
        **{name: words for name, words in SHARED.items() if name != "--layer"},
        "-n": INTEGERS.filter(lambda text: text != str(2**31)),
        "--where": PAIRS,
        "--solver": st.just("heun") | SHELL,
        "--device": st.sampled_from(["cpu", "cuda", "meta", "mps", "cuda:7", "cpu:3", "xla"]) | SHELL,
        "--devices": st.sampled_from(["0", "-1", "x", "1"]),
    },
    "predict": {**SHARED, "--to": PAIRS},
    "trajectory": {
        **{name: words for name, words in SHARED.items() if name != "--library-size"},
        "--to": PAIRS,
        "--n-states": INTEGERS.filter(lambda text: text != str(2**31)),
        "--keep": NUMBERS,
        "-n": INTEGERS,
        "--method": st.just("partial_noising") | SHELL,
        "--gene": SHELL,
    },
    "augment": {name: SHARED[name] for name in ("--seed", "--guidance", "--layer")}
    | {
        "--n-per-label": st.sampled_from(
            ["max", "median", "7", "B=5", "x=5", "B=-1", "B=x", "-1", "0", str(10**30), "=", "B="]
        )
        | SHELL
    },
    "evaluate": {
        "--seed": INTEGERS,
        "--by": SHELL | st.just("kind"),
        "--donor": SHELL | st.just("plate"),
        "--layer": SHELL,
        "--suite": SHELL,
        "--metric": SHELL | st.just("energy"),
        "--max-cells": INTEGERS,
        "--n-seeds": st.sampled_from(["-1", "0", "1", "2", "x", str(2**64)]),
    },
    "fit": {
        "-c": SHELL | st.sampled_from(["plate", "day"]),
        "--continuous": SHELL | st.sampled_from(["day", "kind"]),
        "--layer": SHELL,
        "--min-cells": INTEGERS,
        "--max-epochs": st.sampled_from(["-1", "0", "1", "x", "nan"]),
        "--seed": INTEGERS,
        "--device": st.sampled_from(["cpu", "cuda", "meta", "mps", "cuda:7", "cpu:3"]) | SHELL,
        "--devices": st.sampled_from(["0", "-1", "x", "1"]),
    },
    "shard": {"--cells-per-shard": INTEGERS, "--seed": INTEGERS, "--layer": SHELL, "--genes": SHELL | st.just("union")},
    "inspect": {"--where": PAIRS},
}
"""Odd values by command and option; sizes that are valid and merely long to compute are left out."""


def attack_options(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Give one or two options odd values."""
    command = draw(st.sampled_from(sorted(OPTIONS)))
    words, output = _valid(place, folder, command)
    named: list[str] = []
    for option in draw(st.lists(st.sampled_from(sorted(OPTIONS[command])), min_size=1, max_size=2, unique=True)):
        value = draw(OPTIONS[command][option])
        words, named = [*words, option, value], [*named, option, value]
        named += value.replace(":", "=").split("=")
        named += {"-n": ["--n-cells"], "-c": ["--condition"], "--condition": ["-c"]}.get(option, [])
    return Attempt(words=words, named=named, note="", output=output, root=place.root)


def _valid(place: Place, folder: Path, command: str) -> tuple[list[str], Path | None]:
    """Write a valid call, and the output that it has."""
    model, held, cells = str(place.model), str(place.cells), folder / "out.h5ad"
    quiet = ["--no-progress"]
    calls: dict[str, tuple[list[str], Path | None]] = {
        "generate": ([model, "-n", "5", "-o", str(cells), *quiet], cells),
        "predict": ([model, held, "--to", "kind=B", "-o", str(cells), *quiet], cells),
        "trajectory": (
            [model, "--from", "kind=T", "--to", "kind=B", "-n", "2", "--n-states", "3", "-o", str(cells), *quiet],
            cells,
        ),
        "augment": ([model, held, "--by", "kind", "-o", str(cells), *quiet], cells),
        "evaluate": (["--real", held, "--generated", held, "--metric", "energy", *quiet], None),
        "fit": ([held, "-o", str(folder / "made"), "-c", "kind", *quiet, *SMALL], folder / "made"),
        "shard": ([held, "-o", str(folder / "made"), *quiet], folder / "made"),
        "inspect": ([model], None),
    }
    words, output = calls[command]
    return [command, *words], output


LEAVES = _flat(ModelConfig().to_dict())
LONG = ("steps", "depth", "epochs", "draws", "n_cells", "paths", "n_validations", "n_logits", "most_")
"""Settings whose large values are merely long to compute."""


def attack_settings(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Fit with an odd setting."""
    words, output = _valid(place, folder, "fit")
    name = draw(st.sampled_from(sorted(LEAVES)))
    if draw(st.integers(0, 9)) == 0:
        name = draw(SHELL)
    value: Any = draw(JSON)
    if any(part in name for part in LONG) and isinstance(value, int | float) and value > 3:
        value = 2**63
    text = value if isinstance(value, str) else json.dumps(value)
    pair = f"{name}={text}".replace("\ud800", "")
    return Attempt(
        words=[*words, "--set", pair],
        named=[name, name.rpartition(".")[2], pair, "--set"],
        output=output,
        root=place.root,
    )


def attack_tables(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Generate by a table whose header or fields are odd."""
    path, output = folder / "table.csv", folder / "out.h5ad"
    header = draw(
        st.lists(st.sampled_from(["kind", "day", "n_cells", "kind", "plate"]) | SHELL, min_size=0, max_size=3)
    )
    fields = (
        st.sampled_from(["T", "B", "1", "0", "5", "2.5", "-1", str(10**21), "1e300", "nan", "inf", "", "absent"])
        | SHELL
    )
    rows = draw(
        st.lists(
            st.lists(fields, min_size=len(header), max_size=len(header) + draw(st.sampled_from([0, 0, 0, 1]))),
            max_size=4,
        )
    )
    text = "\n".join(",".join(row) for row in [header, *rows])
    coding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16"]))
    path.write_bytes(text.encode(coding, errors="replace"))
    words = ["generate", str(place.model), "--where-table", str(path), "-o", str(output), "--no-progress"]
    named = [str(path), "--where-table", *text.replace("\n", ",").split(",")]
    return Attempt(words=words, named=named, note=repr(text)[:200], output=output, root=place.root)


def attack_places(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Write to an odd place: onto inputs, folders, links, under files."""
    model, held, other = folder / "model", folder / "cells.h5ad", folder / "other"
    copy_model(place.model, model)
    held.write_bytes(place.cells.read_bytes())
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    (folder / "link.h5ad").symlink_to(held)
    (folder / "loop.h5ad").symlink_to(folder / "loop.h5ad")
    (folder / "nowhere.h5ad").symlink_to(folder / "absent" / "x.h5ad")
    (folder / "to_model").symlink_to(model)
    command = draw(
        st.sampled_from(["generate", "predict", "trajectory", "augment", "shard", "fit", "distill", "evaluate"])
    )
    target = draw(
        st.sampled_from(
            [
                "cells.h5ad",
                "model",
                "model/config.json",
                "other",
                "other/mine.txt",
                "other/mine.txt/x.h5ad",
                "link.h5ad",
                "loop.h5ad",
                "nowhere.h5ad",
                "to_model",
                "to_model/x.h5ad",
                ".",
                "x.csv",
                "x",
                "x" * 300 + ".h5ad",
                "a/b/x.h5ad",
                "x.html",
            ]
        )
    )
    if command == "evaluate" and target.startswith("x"):
        target = "other"  # a page takes half a minute to draw
    output = folder / target
    calls: dict[str, list[str]] = {
        "generate": [str(model), "-n", "5"],
        "predict": [str(model), str(held), "--to", "kind=B"],
        "trajectory": [str(model), "--start", str(held), "--to", "kind=B", "-n", "2", "--n-states", "3"],
        "augment": [str(model), str(held), "--by", "kind"],
        "shard": [str(held)],
        "fit": [str(held), "-c", "kind", *SMALL],
        "distill": [str(model), "--n-paths", "32", "--max-epochs", "1"],
        "evaluate": ["--real", str(held), "--generated", str(held), "--metric", "energy"],
    }
    words, replaced = [command, *calls[command], "-o", str(output), "--no-progress"], []
    if draw(st.booleans()):
        words.append("--overwrite")
        replaced = [
            place_ for place_ in (output, Path(os.path.realpath(output))) if not _is_read(place_, folder, command)
        ]
    named = [str(output), output.name, "-o", "--path", "--output", ".h5ad", ".html"]
    return Attempt(words=words, named=named, output=output, replaced=replaced, root=place.root)


def _is_read(output: Path, folder: Path, command: str) -> bool:
    """Whether an output is an input of the command too, or holds one."""
    reads = {"generate": [], "distill": [], "shard": ["cells.h5ad"], "fit": ["cells.h5ad"], "evaluate": ["cells.h5ad"]}
    inputs = [folder / name for name in reads.get(command, ["cells.h5ad"])]
    inputs += [folder / "model"] if command in {"generate", "predict", "trajectory", "augment", "distill"} else []
    end = Path(os.path.realpath(output))  # follows links as far as they lead, also in a circle
    return any(end.is_relative_to(one) or one.is_relative_to(end) for one in inputs)
