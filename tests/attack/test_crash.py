"""Writes that end at any point: some points of each, drawn by a seed; the study ``crash_points`` takes them all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.crashes import Crash, Write, count_calls, crash

from scdiffuse._core.folders import MODEL, current, finish_replacing
from scdiffuse._core.outputs import atomic_file, atomic_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")

FILES = ("weights.safetensors", "genes.json", "README.md")


def write_version(folder: Path, word: str, *more: str) -> None:
    """Write a folder that counts as a saved model, each file with the same word."""
    with atomic_folder(folder / "model", kind=MODEL, overwrite=True) as partial:
        names = (*FILES, *more)
        for name in names:
            (partial / name).write_text(word * 1_000)
        tree = '{"finished": true, "word": "%s", "files": {%s}}'
        (partial / "config.json").write_text(tree % (word, ", ".join(f'"{name}": ""' for name in names)))


def read_version(folder: Path) -> str:
    """Read which version is there; all files have to be of it."""
    model = folder / "model"
    names = MODEL.files(model)
    if names is None:
        return "nothing" if not model.exists() else "neither"
    texts = {current(model, name).read_text() for name in names - {"config.json"}}
    word = texts.pop()[0] if len(texts) == 1 else "?"
    return word if f'"word": "{word}"' in current(model, "config.json").read_text() else "a mixture"


def linked_version(folder: Path) -> None:
    old_version(folder / "there")
    (folder / "model").symlink_to("there/model")


def old_version(folder: Path) -> None:
    write_version(folder, "o", "classifiers.safetensors")
    (folder / "model" / "user.txt").write_text("mine")


FOLDERS = {
    "new": Write("new", lambda folder: None, lambda folder: write_version(folder, "n"), read_version),
    "over": Write(
        "over", old_version, lambda folder: write_version(folder, "n", "distilled.safetensors"), read_version
    ),
    "linked": Write(
        "linked",
        linked_version,
        lambda folder: write_version(folder, "n"),
        read_version,
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_holds_the_old_or_the_new_version_whatever_call_it_ends_at(name: str, tmp_path: Path) -> None:
    write = FOLDERS[name]
    (tmp_path / "count").mkdir()
    write.prepare(tmp_path / "count")
    old = write.state(tmp_path / "count")
    n_calls = count_calls(lambda: write.run(tmp_path / "count"), tmp_path / "count")
    assert write.state(tmp_path / "count") == "n"
    found = []
    for at in range(n_calls):
        folder = tmp_path / str(at)
        folder.mkdir()
        write.prepare(folder)
        crash(lambda: write.run(folder), folder, Crash("call", at))  # noqa: B023 - called at once
        found.append(write.state(folder))
        finish_replacing(folder / "model", kind=MODEL)
        assert write.state(folder) == found[-1]
        write.run(folder)
        assert write.state(folder) == "n"
        assert list(folder.rglob(".*")) == []
        assert not (folder / "model" / "user.txt").exists() or (folder / "model" / "user.txt").read_text() == "mine"
    assert set(found) == {old, "n"}
    assert found == sorted(found, key=lambda word: word == "n")  # from one call on, the new version is valid


@pytest.mark.parametrize("kind", ["byte", "full"])
def test_a_file_is_the_old_or_the_new_one_whatever_byte_it_ends_at(kind: str, tmp_path: Path) -> None:
    def write() -> None:
        with atomic_file(tmp_path / "cells.h5ad", overwrite=True) as partial:
            partial.write_text("n" * 9_000)

    for at in (0, 1, 4_096, 8_999):
        (tmp_path / "cells.h5ad").write_text("o" * 20_000)
        crash(write, tmp_path, Crash("byte" if kind == "byte" else "full", at))
        assert set((tmp_path / "cells.h5ad").read_text()) == {"o"}
    assert crash(write, tmp_path, Crash("full", 9_000)) == 0
    assert [one.name for one in tmp_path.iterdir()] == ["cells.h5ad"]
    assert set((tmp_path / "cells.h5ad").read_text()) == {"n"}
