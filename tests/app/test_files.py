"""Files: those named at the start and uploads, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import h5py
import pytest
from tests.app.conftest import Client

from scdiffuse.app._errors import RefusedError
from scdiffuse.app._folders import Folders, safe_name


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("named/inner", "outside", "uploads"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "named" / "inner" / "cells.h5ad").touch()
    (tmp_path / "outside" / "secret.h5ad").touch()
    (tmp_path / "named" / "link.h5ad").symlink_to(tmp_path / "outside" / "secret.h5ad")
    (tmp_path / "named" / "way").symlink_to(tmp_path / "outside")
    (tmp_path / "named" / "fine.h5ad").symlink_to(tmp_path / "named" / "inner" / "cells.h5ad")
    return Folders([tmp_path / "named", tmp_path / "named"], uploads=tmp_path / "uploads")


@pytest.mark.parametrize(
    "file",
    [
        "named/../outside/secret.h5ad",
        "named/inner/../../outside/secret.h5ad",
        "named/link.h5ad",
        "named/way/secret.h5ad",
        "outside/secret.h5ad",
        "uploads/../outside/secret.h5ad",
        "/etc/passwd",
        "named//etc/passwd",
        "named/..\\outside/secret.h5ad",
        "named/\0",
        "..",
        ".",
        "",
        None,
        7,
        ["named"],
    ],
)
def test_nothing_outside_is_found(folders: Folders, file: object) -> None:
    with pytest.raises(RefusedError) as caught:
        folders.find(file)
    assert caught.value.status in {403, 404}


def test_what_lies_inside_is_found_and_named(folders: Folders, tmp_path: Path) -> None:
    path = tmp_path / "named" / "inner" / "cells.h5ad"
    assert folders.find("named/inner/cells.h5ad") == path
    assert folders.find("named/fine.h5ad") == path
    assert folders.name_of(path) == "named/inner/cells.h5ad"
    assert folders.name_of(tmp_path / "outside" / "secret.h5ad") is None
    assert [root.name for root in folders.roots] == ["named"]


def test_a_list_shows_no_link_that_leads_outside(folders: Folders) -> None:
    found = folders.list("named")
    assert [(one["name"], one["kind"]) for one in found["entries"]] == [("inner", "folder"), ("fine.h5ad", "cells")]
    assert folders.list("named/inner")["parent"] == "named"
    assert [one["name"] for one in folders.list("")["entries"]] == ["named", "uploads"]


def test_a_file_named_at_the_start_opens_itself_and_not_its_folder(tmp_path: Path) -> None:
    for name in ("one.h5ad", "two.h5ad"):
        (tmp_path / name).touch()
    folders = Folders([tmp_path / "one.h5ad"], uploads=tmp_path / "uploads")
    assert folders.find("one.h5ad") == tmp_path / "one.h5ad"
    for file in ("two.h5ad", "one.h5ad/../two.h5ad"):
        with pytest.raises(RefusedError):
            folders.find(file)


def test_two_folders_of_one_name_get_two_names(tmp_path: Path) -> None:
    for name in ("a/data", "b/data", "uploads"):
        (tmp_path / name).mkdir(parents=True)
    paths = [tmp_path / "a" / "data", tmp_path / "b" / "data", tmp_path / "uploads"]
    assert [root.name for root in Folders(paths, uploads=tmp_path / "u").roots] == ["data", "data-2", "uploads-2"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cells.h5ad", "cells.h5ad"),
        ("../x", "x"),
        ("a\\b c.csv", "b_c.csv"),
        (".hidden", "hidden"),
        ("x" * 500, "x" * 120),
        ("x" * 500 + ".mtx.gz", "x" * 113 + ".mtx.gz"),
        ("клетки.h5ad", "клетки.h5ad"),
        ("細" * 100 + ".h5ad", "細" * 65 + ".h5ad"),
        ("हिन्दी\u202e\x07\ud800.h5ad", "हिन्दी___.h5ad"),
    ],
)
def test_names_of_uploads_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", "..", "/", "..."])
def test_names_of_which_nothing_is_left_are_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        safe_name(name)


def test_an_upload_is_opened_like_any_file(client: Client, data: Path) -> None:
    content = (data / "cells.h5ad").read_bytes()
    answer = client.http.post("/api/upload?name=../my cells.h5ad", content=content)
    assert answer.json() == {"file": "uploads/my_cells.h5ad"}
    assert (client.app.session.folders.uploads / "my_cells.h5ad").read_bytes() == content
    found = client.open("uploads/my_cells.h5ad")
    assert found["n_cells"] == 150
    client.http.delete(f"/api/cells/{found['id']}")


def test_several_uploads_make_a_folder(client: Client) -> None:
    for name in ("matrix.mtx", "genes.tsv"):
        answer = client.http.post(f"/api/upload?name={name}&folder=tenx", content=b"x")
        assert answer.json() == {"file": f"uploads/tenx/{name}"}
    kinds = {one["name"]: one["kind"] for one in client.get("files", folder="uploads")["entries"]}
    assert kinds["tenx"] == "cells"


def test_no_upload_replaces_another(client: Client) -> None:
    def send(name: str, content: bytes, **query: str) -> str:
        answer = client.http.post("/api/upload", params={"name": name, **query}, content=content)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["file"])

    place = client.app.session.folders.uploads
    assert [send("клетки.csv.gz", b"1"), send("данные.csv.gz", b"2"), send("клетки.csv.gz", b"3")] == [
        "uploads/клетки.csv.gz", "uploads/данные.csv.gz", "uploads/клетки-2.csv.gz",
    ]  # fmt: skip
    assert (place / "клетки.csv.gz").read_bytes() == b"1"
    first = [send(name, b"1", folder="set") for name in ("genes.tsv", "matrix.mtx")]
    assert first == ["uploads/set/genes.tsv", "uploads/set/matrix.mtx"]
    assert send("genes.tsv", b"2", folder="set") == "uploads/set-2/genes.tsv"
    assert send("matrix.mtx", b"2", folder="set-2") == "uploads/set-2/matrix.mtx"
    assert send("genes.tsv", b"3", folder="клетки.csv.gz") == "uploads/клетки-3.csv.gz/genes.tsv"


def test_an_upload_that_the_disk_refuses_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", fail)
    answer = client.http.post("/api/upload?name=a.h5ad&folder=new", content=b"x")
    assert answer.status_code == 422
    assert "cannot be kept: No space left on device" in answer.json()["error"]


@pytest.mark.parametrize("told", ["told", "not told"])
def test_an_upload_beyond_the_bound_is_refused_and_leaves_nothing(
    client: Client, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = client.app.session
    monkeypatch.setattr(session, "limits", replace(session.limits, max_upload=1_000))
    before = sorted(session.folders.uploads.rglob("*"))
    sent = b"x" * 5_000 if told == "told" else iter([b"x" * 600] * 9)
    answer = client.http.post("/api/upload?name=big.h5ad", content=sent)
    assert answer.status_code == 413
    assert "named when the app starts" in answer.json()["error"]
    assert sorted(session.folders.uploads.rglob("*")) == before


def test_a_file_that_reads_others_is_refused(client: Client, data: Path, simulated: ad.AnnData) -> None:
    for name, change in {"link": _link, "storage": _storage, "virtual": _virtual}.items():
        path = data / f"{name}.h5ad"
        simulated.write_h5ad(path)
        with h5py.File(path, "r+") as file:
            change(file, data)
        found = client.ready("cells", client.post("cells", {"file": f"data/{path.name}"}, status=202)["id"])
        assert found["state"] == "failed"
        assert f"of '{name}.h5ad' lies in another file" in found["error"]


def _link(file: h5py.File, data: Path) -> None:
    del file["X"]
    file["X"] = h5py.ExternalLink(str(data / "cells.h5ad"), "X")


def _storage(file: h5py.File, data: Path) -> None:
    file["obsm"].create_dataset("x", (4,), "u1", external=[(str(data / "cells.h5ad"), 0, 4)])


def _virtual(file: h5py.File, data: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(data / "cells.h5ad"), "X/data", (4,))
    file["obsm"].create_virtual_dataset("x", layout)


def test_files_outside_and_files_without_cells_are_refused(client: Client, data: Path) -> None:
    client.post("cells", {"file": "data/../secret.h5ad"}, status=403)
    client.post("cells", {"file": "data/nothing.h5ad"}, status=404)
    client.post("cells", {"file": "data/model.scd"}, status=422)
    client.post("models", {"file": "/etc"}, status=403)
    client.get("files", folder="data/..", status=403)
    (data / "broken.h5ad").write_bytes(b"no cells")
    made = client.post("cells", {"file": "data/broken.h5ad"}, status=202)
    found = client.ready("cells", made["id"])
    assert found["state"] == "failed"
    assert "broken.h5ad" in found["error"]
    client.get(f"cells/{made['id']}/column", name="x", status=422)
