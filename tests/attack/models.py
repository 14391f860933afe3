"""Model folders that were altered: in their bytes, in their trees, in their tensors, with checksums renewed or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.attack.files import Draw, copy_model, damage
from tests.attack.law import Attempt
from tests.attack.odd import JSON
from tests.attack.place import Place

__all__ = ["attack_models"]

TEXTS = ("config.json", "genes.json", "vocabulary.json")
TENSORS = ("weights.safetensors", "classifiers.safetensors")


def attack_models(draw: Draw, place: Place, folder: Path) -> Attempt:
    """Alter one file of a model and use the model."""
    model = folder / "model"
    copy_model(place.model, model)
    name = draw(st.sampled_from([*TEXTS, *TEXTS, *TENSORS]))
    way = draw(st.sampled_from(["bytes", "tree", "tree", "tree", "gone", "other"]))
    if way == "bytes":
        note, made = damage(draw, (model / name).read_bytes())
        (model / name).write_bytes(made)
    elif way == "gone":
        note = "gone"
        (model / name).unlink()
    elif way == "other":
        note = "a folder in its place"
        (model / name).unlink()
        (model / name).mkdir()
    elif name in TENSORS:
        note = _change_tensors(draw, model / name)
    else:
        note = _change_tree(draw, model / name)
    if draw(st.integers(0, 3)):
        note += ", sealed anew" * _seal(model)
    return _use(draw, place, folder, note=f"{name}: {note}")


def _use(draw: Draw, place: Place, folder: Path, *, note: str) -> Attempt:
    model, out = folder / "model", folder / "out.h5ad"
    command = draw(st.sampled_from(["inspect", "generate", "generate", "guided", "predict"]))
    more = {
        "inspect": (),
        "generate": ("-n", "5", "-o", str(out), "--no-progress"),
        "guided": ("-n", "5", "--toward", "plate=p1", "-o", str(out), "--no-progress"),
        "predict": (str(place.cells), "--to", "kind=B", "-o", str(out), "--no-progress"),
    }[command]
    word = "generate" if command == "guided" else command
    named = [str(model), "kind=B", "'B'", "plate", "genes"]
    output = None if command == "inspect" else out
    return Attempt(words=(word, str(model), *more), named=named, note=note, output=output, root=place.root)


def _seal(model: Path) -> bool:
    """Write the checksums that the altered files have."""
    path = model / "config.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        files = tree["files"]
        for name in files if isinstance(files, dict) else ():
            files[name] = hashlib.sha256((model / name).read_bytes()).hexdigest()
        tree.pop("checksum", None)
        tree["checksum"] = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _change_tree(draw: Draw, path: Path) -> str:
    """Change one value of a tree of JSON, or a key."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    node: Any = tree
    parent: Any = None
    key: Any = None
    steps: list[str] = []
    while isinstance(node, dict | list) and node and (parent is None or draw(st.integers(0, 4))):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        parent, key = node, draw(st.sampled_from(keys))
        node = parent[key]
        steps.append(str(key))
    assert parent is not None
    way = draw(st.sampled_from(["set", "set", "set", "delete", "more", "repeat"]))
    if way == "set":
        parent[key] = draw(JSON)
        way = f"= {parent[key]!r}"[:80]
    elif way == "delete":
        del parent[key]
    elif isinstance(parent, dict):
        parent["made" if way == "more" else f"{key}2"] = node
    elif way == "more":
        parent.append(node)
    else:
        parent[0] = parent[-1]
    path.write_text(json.dumps(tree), encoding="utf-8")
    return f"{'.'.join(steps)} {way}"


def _change_tensors(draw: Draw, path: Path) -> str:
    """Change one tensor: its values, shape, type or name."""
    tensors = load_file(path)
    name = draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[name]
    way = draw(
        st.sampled_from(["nan", "huge", "zero", "longer", "flat", "double", "half", "int", "gone", "more", "empty"])
    )
    made: dict[str, Callable[[], torch.Tensor]] = {
        "nan": lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor - 9,
        "huge": lambda: torch.full_like(tensor, 1e30) if tensor.is_floating_point() else tensor + 10**6,
        "zero": lambda: torch.zeros_like(tensor),
        "longer": lambda: torch.cat([tensor.reshape(-1), tensor.reshape(-1)[:1]]),
        "flat": lambda: tensor.reshape(-1),
        "double": tensor.double,
        "half": tensor.half,
        "int": tensor.long,
        "empty": lambda: tensor.reshape(-1)[:0],
    }
    if way == "gone":
        del tensors[name]
    elif way == "more":
        tensors["made"] = tensor.clone()
    else:
        tensors[name] = made[way]().contiguous()
    save_file(tensors, path)
    return f"{name} {way}"
