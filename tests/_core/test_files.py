from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from scdiffuse._core.errors import OutputExistsError, StorageError
from scdiffuse._core.files import atomic_file, atomic_folder, sha256, storage_errors


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


def test_a_folder_replaces_a_saved_model_only_on_request(tmp_path: Path) -> None:
    for word in ("first", "second"):
        with atomic_folder(tmp_path / "model", overwrite=True) as partial:
            (partial / "config.json").write_text(word)
    assert (tmp_path / "model" / "config.json").read_text() == "second"
    assert names(tmp_path) == ["model"]
    with pytest.raises(OutputExistsError, match=r"already exists"), atomic_folder(tmp_path / "model"):
        pytest.fail("the block ran")


def test_a_failed_folder_leaves_the_old_model(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "model") as partial:
        (partial / "config.json").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "model", overwrite=True) as partial:
        (partial / "config.json").write_text(str(1 / 0))
    assert (tmp_path / "model" / "config.json").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(OutputExistsError, match=r"holds something other than a saved model and is not overwritten"),
        atomic_folder(tmp_path, overwrite=True),
    ):
        pytest.fail("the block ran")
    assert (tmp_path / "thesis.txt").exists()


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"Cannot write '.*cells.h5ad': the disk is full. Free some space"):
        write_half(tmp_path / "cells.h5ad", OSError(errno.ENOSPC, "No space left on device"))
    assert names(tmp_path) == []


def test_missing_permission_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"no permission to write there. Choose a folder that you may write to"),
        storage_errors(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_file_where_a_folder_is_needed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(StorageError, match=r"a file stands where a folder is needed"),
        atomic_folder(tmp_path / "taken" / "model"),
    ):
        pytest.fail("the block ran")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"odd") as caught, storage_errors(tmp_path):
        raise OSError(errno.EIO, "odd")
    assert not isinstance(caught.value, StorageError)


def test_a_digest_is_the_one_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"cells")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"cells").hexdigest()
