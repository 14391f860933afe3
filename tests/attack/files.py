"""Files of cells that are damaged, in their bytes, in their structure, or in what they hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import strategies as st
from tests.attack.law import Attempt
from tests.attack.odd import BYTES, NAMES
from tests.attack.place import N_CELLS, N_GENES, SMALL, Place, cells

__all__ = [
    "Draw",
    "attack_bytes",
    "attack_counts",
    "attack_frames",
    "attack_shards",
    "attack_structure",
    "copy_model",
    "damage",
]


class Draw(Protocol):
    """Draws from a strategy, as hypothesis hands it out."""

    def __call__(self, strategy: st.SearchStrategy[Any]) -> Any:
        """Draw one value."""


def damage(draw: Draw, raw: bytes) -> tuple[str, bytes]:
    """Damage the bytes of a file in one of the ways of disks, networks and editors."""
    at = draw(st.integers(0, len(raw) - 1))
    way = draw(st.sampled_from(["cut", "cut", "write", "write", "write", "zeros", "insert", "lose", "empty", "only"]))
    some: bytes = draw(BYTES)
    made = {
        "cut": raw[:at],
        "write": raw[:at] + some + raw[at + len(some) :],
        "zeros": raw[:at] + bytes(512) + raw[at + 512 :],
        "insert": raw[:at] + some + raw[at:],
        "lose": raw[:at] + raw[at + len(some) :],
        "empty": b"",
        "only": some,
    }[way]
    return f"{way} at {at}", made


def reading(
    draw: Draw,
    place: Place,
    folder: Path,
    *,
    named: Sequence[str],
    note: str,
    columns: Sequence[str] = (),
    cells: str = "odd.h5ad",
) -> Attempt:
    """Choose a command that reads the cells of a folder."""
    path, out = folder / cells, folder / "out"
    valid = str(place.cells)
    words: tuple[str, ...]
    command = draw(
        st.sampled_from(["inspect", "inspect", "fit", "shard", "predict", "augment", "evaluate", "train", "add"])
    )
    written: Path | None = None
    if command == "inspect":
        words = ("inspect", str(path))
    elif command == "fit":
        chosen = draw(st.sampled_from(columns)) if columns else "kind"
        option = draw(st.sampled_from(["-c", "--continuous"])) if columns else "-c"
        words = ("fit", str(path), "-o", str(out), option, chosen, "--no-progress", *SMALL)
        written, named = out, [*named, chosen, option]
    elif command == "shard":
        words, written = ("shard", str(path), "-o", str(out), "--no-progress"), out
    elif command == "predict":
        written = out.with_suffix(".h5ad")
        words = ("predict", str(place.model), str(path), "--to", "kind=B", "-o", str(written), "--no-progress")
    elif command == "augment":
        written = out.with_suffix(".h5ad")
        by = ("--by", "kind", "--n-per-label", "30")
        words = ("augment", str(place.model), str(path), *by, "-o", str(written), "--no-progress")
    elif command == "add":
        chosen = draw(st.sampled_from(columns)) if columns else "plate"
        model = folder / "model"
        copy_model(place.model, model)
        words = ("add-classifier", str(model), str(path), "--name", "made", "--obs-key", chosen, "--max-epochs", "1")
        words, written, named = (*words, "--no-progress"), model, [*named, chosen]
        return Attempt(
            words=words, named=[str(path), *named], note=note, output=written, replaced=[model], root=place.root
        )
    else:
        named = [*named, "--real" if command == "evaluate" else "--train"]
        pair = (str(path), valid) if command == "evaluate" else (valid, valid)
        more = () if command == "evaluate" else ("--train", str(path))
        more = (*more, "--by", draw(st.sampled_from(columns))) if columns else more
        named = [*named, *more[1::2]]
        scored = ("--metric", "energy", "--metric", "composition", "--no-progress")
        words = ("evaluate", "--real", pair[0], "--generated", pair[1], *more, *scored)
    return Attempt(words=words, named=[str(path), *named], note=note, output=written, root=place.root)


def copy_model(source: Path, target: Path) -> None:
    """Copy a model folder."""
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def attack_bytes(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Damage the bytes of a file of cells."""
    note, made = damage(draw, place.cells.read_bytes())
    (folder / "odd.h5ad").write_bytes(made)
    return reading(draw, place, folder, named=PARTS, note=note)


def attack_shards(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Damage the bytes of one file of a folder of shards, or lose it; sometimes none notices its size."""
    shards = folder / "odd"
    copy_model(place.shards, shards)
    path = shards / draw(st.sampled_from(sorted(one.name for one in shards.iterdir())))
    raw = path.read_bytes()
    note, made = damage(draw, raw)
    if draw(st.booleans()):
        made = (made + bytes(len(raw)))[: len(raw)]
        note += ", of the same size"
    if draw(st.integers(0, 9)):
        path.write_bytes(made)
    else:
        path.unlink()
        note = "lost"
    return reading(draw, place, folder, named=PARTS, note=f"{path.name}: {note}", cells="odd")


PARTS = ("`X`", "`obs`", "`var`", "`raw`", "`layers`", "obs", "var", "layer", "genes")
"""Parts of a file that a refusal may name beside the file."""
ENCODINGS = (
    "array",
    "csr_matrix",
    "csc_matrix",
    "dataframe",
    "categorical",
    "dict",
    "string-array",
    "anndata",
    "no-such",
    "",
    7,
)
VALUES: dict[str, Callable[[], Any]] = {
    "scalar": lambda: 3.0,
    "text": lambda: "text",
    "texts": lambda: np.array(["a", "b"], dtype=object),
    "flat": lambda: np.arange(N_CELLS, dtype=np.float32),
    "floats": lambda: np.linspace(0.0, 1.0, N_CELLS),
    "cube": lambda: np.ones((2, 3, 4), dtype=np.float32),
    "empty": lambda: np.zeros((0,), dtype=np.float32),
    "wide": lambda: np.ones((N_CELLS, N_GENES + 1), dtype=np.int64),
    "half": lambda: np.ones((N_CELLS, N_GENES), dtype=np.float16),
    "bools": lambda: np.ones((N_CELLS, N_GENES), dtype=bool),
    "complex": lambda: np.ones((N_CELLS, N_GENES), dtype=np.complex64),
    "pairs": lambda: np.zeros(N_CELLS, dtype=[("a", "i4"), ("b", "f4")]),
    "ones": lambda: np.ones((N_CELLS, N_GENES), dtype=np.int8),
    "huge": lambda: np.full((N_CELLS, N_GENES), 2.0**60),
    "nothing": lambda: h5py.Empty("f4"),
}


def attack_structure(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Change groups, arrays or attributes of a file of cells, which stays HDF5."""
    path = folder / "odd.h5ad"
    made = cells()
    if draw(st.booleans()):
        made.X = draw(st.sampled_from([sp.csc_matrix, lambda x: x.toarray()]))(made.X)
    made.write_h5ad(path)
    notes = []
    with h5py.File(path, "r+") as file:
        for _ in range(draw(st.integers(1, 2))):
            names: list[str] = []
            file.visit(names.append)
            name = draw(st.sampled_from(["X", "X/indptr", "X/indices", "X/data", "obs", "var", "obs/_index", *names]))
            if name in file:
                notes.append(f"{name}: {_change(draw, file, name)}")
    return reading(draw, place, folder, named=PARTS, note="; ".join(notes))


def _change(draw: Draw, file: h5py.File, name: str) -> str:
    way: str = draw(st.sampled_from(["attribute", "delete", "put", "put", "values", "values", "link", "group"]))
    if way == "attribute":
        return _change_attribute(draw, file[name])
    if way == "values" and isinstance(file[name], h5py.Dataset) and file[name].size:
        return _change_values(draw, file, name)
    attributes = dict(file[name].attrs)
    del file[name]
    if way in {"put", "values"}:
        kind = draw(st.sampled_from(sorted(VALUES)))
        file[name] = VALUES[kind]()
        if draw(st.booleans()):
            file[name].attrs.update(attributes)
        return f"put {kind}"
    if way == "group":
        file.create_group(name).attrs.update(attributes)
    elif way == "link":
        target = draw(st.sampled_from([name, "/", "/obs", "/nowhere", None]))
        file[name] = h5py.ExternalLink("other.h5", "/X") if target is None else h5py.SoftLink(target)
        return f"link to {target}"
    return way


def _change_attribute(draw: Draw, node: Any) -> str:
    known = [*node.attrs, "encoding-type", "encoding-version", "shape", "_index", "column-order"]
    key = draw(st.sampled_from(known))
    if draw(st.booleans()) and key in node.attrs:
        del node.attrs[key]
        return f"no {key}"
    odd = [
        *ENCODINGS,
        -1,
        2**40,
        np.array([3, -1]),
        np.array([2**40, N_GENES]),
        np.array([N_CELLS + 1, N_GENES]),
        [N_CELLS],
    ]
    at = draw(st.integers(0, len(odd) - 1))
    node.attrs[key] = odd[at]
    return f"{key} = {odd[at]!r}"


def _change_values(draw: Draw, file: h5py.File, name: str) -> str:
    array, attributes = file[name][()], dict(file[name].attrs)
    flat = np.atleast_1d(array).ravel()
    way: str = draw(st.sampled_from(["shift", "reverse", "shorter", "longer", "float", "one", "one", "int8", "repeat"]))
    is_number = flat.dtype.kind in "iuf"
    if way == "shift" and is_number:
        flat = flat + draw(st.sampled_from([-1, 1, 7]))
    elif way == "one" and is_number:
        flat = flat.astype(np.float64 if flat.dtype.kind == "f" else np.int64)
        odd = [-1, 2**31, -(2**40), 2**53, 0] + ([np.nan, np.inf, 0.5] if flat.dtype.kind == "f" else [])
        flat[draw(st.integers(0, flat.size - 1))] = draw(st.sampled_from(odd))
    elif way == "float" and is_number:
        flat = flat.astype(np.float64) + draw(st.sampled_from([0.0, 0.5]))
    elif way == "int8" and is_number:
        flat = flat.astype(np.int8)
    elif way == "shorter":
        flat = flat[:-1]
    elif way == "longer":
        flat = np.concatenate([flat, flat[-1:]])
    elif way == "repeat":
        flat = np.repeat(flat[:1], flat.size)
    else:
        flat = flat[::-1]
    shaped = flat.reshape(np.shape(array)) if flat.size == np.size(array) else flat
    del file[name]
    file[name] = shaped
    file[name].attrs.update(attributes)
    return way


def attack_frames(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Put a column of any kind and name into `obs`."""
    made, name = (
        cells(),
        draw(NAMES.filter(lambda one: "/" not in one.strip("/") and one not in {"kind", "plate", "day"})),
    )
    values, kind = _column(draw)
    made.obs[name] = values
    if draw(st.integers(0, 5)) == 0:
        made.obs = made.obs.set_index(name, drop=False)
        made.obs.index.name = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.write_h5ad(folder / "odd.h5ad")
    except Exception:  # noqa: BLE001 - what anndata cannot write is no input
        return attack_counts(draw, place, folder)
    return reading(draw, place, folder, named=[name, "obs"], note=f"{kind} column {name!r}", columns=[name])


def _column(draw: Draw) -> tuple[Any, str]:
    at = np.arange(N_CELLS)
    kind = draw(
        st.sampled_from(["labels", "labels", "labels", "numbers", "numbers", "whole", "bools", "times", "many", "gaps"])
    )
    if kind == "labels":
        chosen = draw(st.lists(NAMES, min_size=1, max_size=5))
        labels = pd.Series([chosen[one % len(chosen)] for one in at], index=cells().obs_names)
        return labels.astype("category") if draw(st.booleans()) else labels, kind
    if kind == "numbers":
        odd = draw(
            st.lists(
                st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, np.nan, np.inf, 1e38]), min_size=1, max_size=4
            )
        )
        return np.array([odd[one % len(odd)] for one in at]), kind
    if kind == "whole":
        odd = draw(st.lists(st.sampled_from([0, 1, -1, 2**31, 2**62, -(2**62)]), min_size=1, max_size=4))
        return np.array([odd[one % len(odd)] for one in at]), kind
    columns: dict[str, Any] = {
        "bools": at % 2 == 0,
        "times": pd.to_datetime(at, unit="D"),
        "many": [f"label {one}" for one in at],
        "gaps": pd.Series([None, "a", "b"] * (N_CELLS // 3), index=cells().obs_names, dtype=object),
    }
    return columns[kind], kind


def attack_counts(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Write cells whose counts, size or names are odd."""
    n_cells, n_genes = (
        draw(st.sampled_from(sizes)) for sizes in ([0, 1, 2, 11, N_CELLS, N_CELLS], [0, 1, 2, N_GENES, N_GENES])
    )
    made = cells()[:n_cells, :n_genes].to_memory()
    dense = made.X.toarray()
    odd = draw(st.sampled_from([None, -1.0, 0.5, np.nan, np.inf, 2.0**24, 2.0**31, 2.0**53, 1e12, 1e30, 0.0]))
    if odd is not None and dense.size:
        rows = draw(st.sampled_from(["one", "cell", "gene", "all"]))
        dense = dense.astype(np.float64)
        dense[{"one": (0, 0), "cell": (0, slice(None)), "gene": (slice(None), 0), "all": slice(None)}[rows]] = odd
    dtype = draw(st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u2", "?"]))
    form = draw(st.sampled_from(["csr", "csc", "dense"]))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = dense.astype(dtype)
        if form != "dense" and dtype != "f2":
            made.X = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[form](dense)
        else:
            made.X = dense
        names = draw(st.sampled_from(["plain", "plain", "twice", "odd"]))
        if names == "twice" and n_genes:
            made.var_names = ["same"] * n_genes
        if names == "odd" and n_genes:
            made.var_names = [draw(NAMES.filter(lambda one: "\ud800" not in one)), *made.var_names[1:]]
        made.write_h5ad(folder / "odd.h5ad")
    note = f"{n_cells} x {n_genes} {form} {dtype}, {odd} counts, {names} names"
    return reading(draw, place, folder, named=[*PARTS, "gene", "cells with counts"], note=note)
