from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from scdiffuse._core.errors import StorageError
from scdiffuse._core.files import partial_folder, sha256, storage_errors


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_runs_is_left_alone(tmp_path: Path) -> None:
    left = tmp_path / ".cells.h5ad.0123abcd.partial"
    left.mkdir()
    (left / "cells.h5ad").write_text("half")
    others = [tmp_path / ".other.0123abcd.partial", tmp_path / ".cells.h5ad.partial"]
    for one in others:
        one.mkdir()
    with partial_folder(tmp_path / "cells.h5ad") as running:
        assert not left.exists()
        with partial_folder(tmp_path / "cells.h5ad") as second:
            assert running.exists()
            assert second != running
    assert sorted(tmp_path.iterdir()) == sorted(others)


@pytest.mark.parametrize(
    "text",
    [
        "[Errno 28] No space left on device",
        "Can't write data (errno = 28, No space left on device)",
        "9 requested and 0 written",
    ],
)
def test_a_full_disk_is_known_in_every_wording(text: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"the disk is full"), storage_errors(tmp_path):
        raise OSError(text)


def test_missing_permission_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"no permission to write there. Choose a folder that you may write to"),
        storage_errors(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"odd") as caught, storage_errors(tmp_path):
        raise OSError(errno.EIO, "odd")
    assert not isinstance(caught.value, StorageError)


def test_a_digest_is_the_one_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"cells")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"cells").hexdigest()
