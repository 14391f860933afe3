"""Outputs that appear whole or not at all, and paths that are refused."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from scdiffuse._core.errors import OutputExistsError, StorageError
from scdiffuse._core.folders import MODEL, SHARDS
from scdiffuse._core.outputs import atomic_file, atomic_folder, require_folder, require_output


def write_half(path: Path, error: BaseException) -> None:
    """Fail in the middle of writing."""
    with atomic_file(path, overwrite=True) as partial:
        partial.write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "deep" / "cells.h5ad") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "deep" / "cells.h5ad").exists()
    assert (tmp_path / "deep" / "cells.h5ad").read_text() == "whole"
    assert names(tmp_path / "deep") == ["cells.h5ad"]


def test_a_failed_file_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "cells.h5ad", KeyboardInterrupt())
    assert names(tmp_path) == ["cells.h5ad"]
    assert (tmp_path / "cells.h5ad").read_text() == "old"


def test_an_existing_file_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").write_text("old")
    with (
        pytest.raises(OutputExistsError, match=r"already exists; nothing was written. Pass `overwrite=True`"),
        atomic_file(tmp_path / "cells.h5ad"),
    ):
        pytest.fail("the block ran")


def write_model(folder: Path, word: str, *, names: tuple[str, ...] = ("weights.safetensors",)) -> None:
    """Write a folder that counts as a saved model."""
    with atomic_folder(folder, kind=MODEL, overwrite=True) as partial:
        for name in names:
            (partial / name).write_text(word)
        tree = {"finished": True, "files": dict.fromkeys(names, ""), "word": word}
        (partial / "config.json").write_text(json.dumps(tree))


def word_of(folder: Path) -> str:
    word: str = json.loads((folder / "config.json").read_text())["word"]
    return word


def test_a_folder_replaces_a_saved_model_only_on_request(tmp_path: Path) -> None:
    for word in ("first", "second"):
        write_model(tmp_path / "model", word)
    assert word_of(tmp_path / "model") == "second"
    assert names(tmp_path) == ["model"]
    with pytest.raises(OutputExistsError, match=r"already exists"), atomic_folder(tmp_path / "model", kind=MODEL):
        pytest.fail("the block ran")


def test_a_failed_folder_leaves_the_old_model(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "old")
    with (
        pytest.raises(ZeroDivisionError),
        atomic_folder(tmp_path / "model", kind=MODEL, overwrite=True) as partial,
    ):
        (partial / "config.json").write_text(str(1 / 0))
    assert word_of(tmp_path / "model") == "old"
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["config.json", "weights.safetensors"]


def test_only_files_that_the_old_version_names_are_removed(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "old", names=("weights.safetensors", "classifiers.safetensors"))
    (tmp_path / "model" / "notes").mkdir()
    (tmp_path / "model" / "notes" / "thesis.txt").write_text("years of work")
    write_model(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["config.json", "notes", "weights.safetensors"]
    assert (tmp_path / "model" / "notes" / "thesis.txt").read_text() == "years of work"


def test_a_file_of_the_user_with_a_name_that_is_needed_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "old")
    (tmp_path / "model" / "classifiers.safetensors").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"are not of a saved model there .* 'classifiers.safetensors'. Move"):
        write_model(tmp_path / "model", "new")
    assert word_of(tmp_path / "model") == "old"


@pytest.mark.parametrize("text", ["{}", "[]", "", '{"name": "my web app", "files": 3}', "[" * 100_000])
def test_a_folder_with_another_config_is_no_model(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(OutputExistsError, match=r"other than a saved model \('config.json'\) and is not overwritten"):
        write_model(tmp_path, "new")
    assert (tmp_path / "config.json").read_text() == text


def test_a_manifest_cannot_name_files_outside_or_of_the_user(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "old")
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "model" / "notes.txt").write_text("kept")
    tree = {"finished": True, "files": {"../precious": "", "notes.txt": "", "weights.safetensors": ""}, "word": "old"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(tree))
    write_model(tmp_path / "model", "new")
    assert (tmp_path / "precious").read_text() == (tmp_path / "model" / "notes.txt").read_text() == "kept"


def test_a_linked_folder_is_written_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "there")
    for word in ("old", "new"):
        write_model(tmp_path / "model", word)
        assert (tmp_path / "model").is_symlink()
        assert word_of(tmp_path / "disk" / "there") == word


def test_the_working_folder_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(Path(), "new")
    assert word_of(tmp_path) == "new"


def test_a_linked_file_is_written_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "there.h5ad").write_text("old")
    (tmp_path / "cells.h5ad").symlink_to("there.h5ad")
    with atomic_file(tmp_path / "cells.h5ad", overwrite=True) as partial:
        partial.write_text("new")
    assert (tmp_path / "cells.h5ad").is_symlink()
    assert (tmp_path / "there.h5ad").read_text() == "new"


def test_a_circle_of_links_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match=r"a' .*whose links lead somewhere"), atomic_file(tmp_path / "a"):
        pytest.fail("the block ran")


def test_inputs_are_never_outputs(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "old")
    (tmp_path / "cells.h5ad").write_text("cells")
    (tmp_path / "link.h5ad").symlink_to("cells.h5ad")
    (tmp_path / "cells.zarr").mkdir()
    inputs = [tmp_path / "cells.h5ad", tmp_path / "model", tmp_path / "cells.zarr", None]
    for name in ("cells.h5ad", "link.h5ad", "cells.zarr/x.h5ad"):
        with pytest.raises(OutputExistsError, match=r"is read by this command .* cannot be its output"):
            require_output(tmp_path / name, overwrite=True, inputs=inputs)
    for name in ("model", "model/../model"):
        with pytest.raises(OutputExistsError, match=r"is read by this command .* cannot be its output"):
            require_folder(tmp_path / name, kind=MODEL, overwrite=True, inputs=inputs)
    require_output(tmp_path / "model" / "cells.h5ad", overwrite=False, inputs=inputs)


@pytest.mark.parametrize("name", ["config.json", "README.md", "weights.safetensors"])
def test_files_of_a_model_are_never_outputs(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "model", "old")
    with pytest.raises(OutputExistsError, match=r"belongs to a saved model in that folder and is not overwritten"):
        require_output(tmp_path / "model" / name, overwrite=True)


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "pipe", "a device or a pipe"), (Path(), "a folder")):
        with pytest.raises(OutputExistsError, match=words):
            require_output(path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputExistsError, match="is a file; expected the path of a folder"):
        require_folder(tmp_path / "file", kind=SHARDS, overwrite=True)


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(OutputExistsError, match=r"holds something other than a saved model .* is not overwritten"),
        atomic_folder(tmp_path, kind=MODEL, overwrite=True),
    ):
        pytest.fail("the block ran")
    assert (tmp_path / "thesis.txt").exists()


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"Cannot write '.*cells.h5ad': the disk is full. Free some space"):
        write_half(tmp_path / "cells.h5ad", OSError(errno.ENOSPC, "No space left on device"))
    assert names(tmp_path) == []


def test_a_file_where_a_folder_is_needed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(StorageError, match=r"a file stands where a folder is needed"),
        atomic_folder(tmp_path / "taken" / "model", kind=MODEL),
    ):
        pytest.fail("the block ran")
