"""A model on disk: what is in it, that it comes back the same, and every way in which it can be broken."""

from __future__ import annotations

import json
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file
from tests.fitted_model import assert_same_uns

from scdiffuse._core.errors import ModelFolderError, OutputExistsError, SettingError, StorageError
from scdiffuse._core.files import sha256
from scdiffuse._core.slots import TRAINING_FILE
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import _files as files

FILES = {"README.md", "config.json", "genes.json", "vocabulary.json", "weights.safetensors"}


def _change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change ``config.json`` as another version might have written it, checksum included."""
    record = json.loads((folder / "config.json").read_text())
    record.pop("checksum")
    change(record)
    record["checksum"] = files._checksum(record)
    (folder / "config.json").write_text(json.dumps(record))


def test_the_folder_holds_weights_json_and_a_card(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == FILES
    for name in FILES - {"README.md", "weights.safetensors"}:
        json.loads((folder / name).read_text())
    assert len({stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}) == 1


def test_nothing_in_the_folder_is_pickled(folder: Path) -> None:
    for file in folder.iterdir():
        content = file.read_bytes()
        assert not content.startswith((b"\x80", b"PK"))
    with safetensors.safe_open(folder / "weights.safetensors", "pt") as file:
        assert "denoiser.read.weight" in file.keys()  # noqa: SIM118 - not a mapping


def test_a_loaded_model_generates_the_same_cells(folder: Path, fitted: CellGenerator) -> None:
    loaded = load(folder)
    before, after = (model.generate(40, seed=2, progress=False) for model in (fitted, loaded))
    assert isinstance(before, ad.AnnData)
    assert isinstance(after, ad.AnnData)
    assert (before.X != after.X).nnz == 0
    pd.testing.assert_frame_equal(before.obs, after.obs)
    pd.testing.assert_frame_equal(before.var, after.var)
    assert_same_uns(before.uns, after.uns)


def test_a_loaded_model_knows_what_the_saved_one_knew(folder: Path, fitted: CellGenerator) -> None:
    loaded = load(folder)
    assert loaded.history == fitted.history
    assert loaded.conditions == fitted.conditions
    assert loaded.config == fitted.config
    assert loaded.summary() == fitted.summary()
    assert list(loaded.genes) == list(fitted.genes)
    assert not loaded.was_stopped


def test_saving_a_loaded_model_changes_nothing(folder: Path, tmp_path: Path) -> None:
    again = load(folder).save(tmp_path / "again")
    for name in FILES:
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_the_card_tells_of_data_fit_and_scores(fitted: CellGenerator, folder: Path, tmp_path: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "Fitted to 150 cells x 25 genes" in card
    assert "NK (" in card
    assert "| step | training loss | validation loss |" in card
    assert "Not evaluated." in card
    model = load(folder)
    model.record_scores(
        {"metrics": {"mmd": {"value": 0.0123, "reference": 0.01, "baselines": {"nb": 0.3}, "normalised": None}}}
    )
    assert "| mmd | 0.0123 | 0.01 | nb 0.3 |  |" in (model.save(tmp_path / "scored") / "README.md").read_text()
    model.record_scores('{"metrics": {}}')
    assert load(tmp_path / "scored")._scores is not None
    assert fitted._scores is None


def test_a_model_is_overwritten_only_when_told(folder: Path, fitted: CellGenerator) -> None:
    with pytest.raises(OutputExistsError, match="already exists; nothing was written"):
        fitted.save(folder)
    fitted.save(folder, overwrite=True)
    load(folder)


def test_a_folder_of_other_things_is_never_overwritten(fitted: CellGenerator, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match="holds something other than a saved model"):
        fitted.save(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", sorted(FILES - {"README.md"}))
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(
        ModelFolderError, match=rf"has no file `{name}`; expected a folder written by .* Copy the whole"
    ):
        load(folder)


@pytest.mark.parametrize("name", sorted(FILES - {"README.md", "config.json"}))
def test_an_altered_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-5] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        ModelFolderError, match=rf"`{name}` in .* was altered after it was saved.* Copy the whole folder"
    ):
        load(folder)


def test_altered_settings_are_noticed(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"solver_steps": 4', '"solver_steps": 5'))
    with pytest.raises(ModelFolderError, match=r"`config.json` in .* was altered after it was saved"):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "soon"}'])
def test_damaged_settings_are_told(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelFolderError, match=r"`config.json` in .* is damaged .*; expected what `save` wrote"):
        load(folder)


def test_a_newer_version_is_told(folder: Path) -> None:
    _change_config(folder, lambda record: record.update(format=files.FORMAT + 1, version="9.9"))
    with pytest.raises(ModelFolderError, match=r"saved by a newer version, 9.9, of scdiffuse; .*pip install -U"):
        load(folder)


def test_an_earlier_version_whose_decoder_meant_something_else_is_told(folder: Path) -> None:
    _change_config(folder, lambda record: record.update(format=files.FORMAT - 1, version="0.0.9"))
    with pytest.raises(ModelFolderError, match=r"saved by an earlier version, 0.0.9, of scdiffuse, .* Fit it again"):
        load(folder)


def test_a_model_of_a_version_without_a_setting_does_what_that_version_did(folder: Path) -> None:
    config = load(folder).config
    assert config.calibration.alike_labels
    assert config.autoencoder.dispersion.duplicates
    _change_config(folder, lambda record: record["settings"]["calibration"].pop("alike_labels"))
    _change_config(folder, lambda record: record["settings"]["autoencoder"]["dispersion"].pop("duplicates"))
    config = load(folder).config
    assert not config.calibration.alike_labels
    assert not config.autoencoder.dispersion.duplicates


def test_settings_that_do_not_fit_the_weights_are_told(folder: Path) -> None:
    _change_config(folder, lambda record: record["settings"]["diffusion"].update(width=99))
    with pytest.raises(ModelFolderError, match=r"The settings and weights in .* do not belong together"):
        load(folder)


def test_an_unknown_setting_is_told(folder: Path) -> None:
    _change_config(folder, lambda record: record["settings"]["diffusion"].update(colour="red"))
    with pytest.raises(ModelFolderError, match=r"do not belong together .*colour"):
        load(folder)


def _change_text(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a file of JSON, and renew all checksums."""
    tree = json.loads((folder / name).read_text())
    change(tree)
    (folder / name).write_text(json.dumps(tree))
    _change_config(folder, lambda record: record["files"].update({name: sha256(folder / name)}))


def test_names_of_genes_are_those_of_the_weights(folder: Path) -> None:
    _change_text(folder, "genes.json", lambda tree: tree["names"].__setitem__(0, tree["names"][1]))
    with pytest.raises(ModelFolderError, match=r"`genes.json` has 25 names, 24 of them different, for 25 genes"):
        load(folder)
    _change_text(folder, "genes.json", lambda tree: tree.update(names=tree["names"][:-1], columns={}))
    with pytest.raises(ModelFolderError, match=r"`genes.json` has 24 names"):
        load(folder)


def test_labels_are_different_ones_and_those_of_the_weights(folder: Path) -> None:
    _change_text(folder, "vocabulary.json", lambda tree: tree["categorical"]["cell_type"].append("new"))
    with pytest.raises(ModelFolderError, match=r"do not belong together \(tensor .* has shape"):
        load(folder)
    _change_text(folder, "vocabulary.json", lambda tree: tree["categorical"].update(cell_type=["T", "T", "NK"]))
    with pytest.raises(ModelFolderError, match=r"labels of 'cell_type' are not different ones"):
        load(folder)


@pytest.mark.parametrize("files", [{}, {"../other": ""}])
def test_the_list_of_files_is_that_of_a_model(folder: Path, files: dict[str, str]) -> None:
    _change_config(folder, lambda record: record.update(files=files))
    with pytest.raises(
        ModelFolderError, match=r"`files` names .*; expected \['genes.json', 'vocabulary.json', 'weights"
    ):
        load(folder)


def test_settings_are_compared_with_the_weights_before_anything_is_built(folder: Path) -> None:
    begin = time.process_time()
    _change_config(folder, lambda record: record["settings"]["diffusion"].update(depth=10**9))
    with pytest.raises(ModelFolderError, match=r"`depth` is 1000000000, and there are \d+ tensors"):
        load(folder)
    _change_config(folder, lambda record: record["settings"]["diffusion"].update(depth=1, width=10**9))
    with pytest.raises(ModelFolderError, match=r"tensor .* has shape .*; expected \("):
        load(folder)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("seed",), "0", "`seed` is '0'; expected int"),
        (("data", "labels"), [], r"`data.labels` is \[\]; expected names and values"),
        (("settings", "diffusion", "solver"), "slow", "`solver` must be one of .* got 'slow'"),
        (("history", "diffusion"), [[1]], r"`history.diffusion.0` is \[1\]; expected a list of 3"),
        (("scores",), {"metrics": 3}, "`metrics` is 3"),
    ],
)
def test_a_value_of_another_type_is_named(folder: Path, keys: tuple[str, ...], value: object, words: str) -> None:
    def change(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    _change_config(folder, change)
    with pytest.raises(ModelFolderError, match=words):
        load(folder)


@pytest.mark.parametrize("name", ["denoiser.read.weight", "latent_std"])
def test_weights_that_are_not_finite_are_told(folder: Path, name: str) -> None:
    tensors = load_file(folder / "weights.safetensors")
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / "weights.safetensors")
    digest = sha256(folder / "weights.safetensors")
    _change_config(folder, lambda record: record["files"].update({"weights.safetensors": digest}))
    with pytest.raises(ModelFolderError, match=f"`{name}` holds numbers that are not finite"):
        load(folder)


def test_an_edited_card_is_kept_beside_the_new_one(folder: Path) -> None:
    (folder / "README.md").write_text("my words")
    model = load(folder)
    for _ in range(2):
        model.save(folder, overwrite=True)
    assert (folder / "README.kept.md").read_text() == "my words"
    assert {file.name for file in folder.iterdir()} == FILES | {"README.kept.md"}


def test_another_default_type_of_pytorch_is_refused(folder: Path) -> None:
    model = load(folder)
    torch.set_default_dtype(torch.float64)
    try:
        for call in (lambda: load(folder), lambda: model.generate(3)):
            with pytest.raises(SettingError, match=r"default type of PyTorch is torch.float64; expected torch.float32"):
                call()
    finally:
        torch.set_default_dtype(torch.float32)


def test_weights_that_lack_a_tensor_are_told(folder: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    del tensors["latent_std"]
    save_file(tensors, folder / "weights.safetensors")
    digest = sha256(folder / "weights.safetensors")
    _change_config(folder, lambda record: record["files"].update({"weights.safetensors": digest}))
    with pytest.raises(ModelFolderError, match="do not belong together"):
        load(folder)


@pytest.mark.parametrize("path", ["nowhere", "model/config.json"])
def test_what_is_no_folder_is_told(folder: Path, path: str) -> None:
    with pytest.raises(ModelFolderError, match=r"is not a folder; expected a model saved with .* Check the path"):
        load(folder.parent / path)


def test_a_device_that_is_not_there_is_refused_before_reading(folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(SettingError, match="`device` 'quantum' cannot be used"):
        load(folder, device="quantum")


def test_a_full_disk_is_told(fitted: CellGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        msg = "Error while serializing: I/O error: No space left on device (os error 28)"
        raise safetensors.SafetensorError(msg)

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(StorageError, match=r"Cannot write .*: the disk is full"):
        fitted.save(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_what_a_killed_fit_left_of_its_state_goes_when_the_model_is_whole(folder: Path) -> None:
    model = load(folder)
    left = folder / f".{TRAINING_FILE}.01234567.partial"
    left.mkdir()
    model.save(folder, overwrite=True)
    assert not left.exists()
    assert list(load(folder).genes) == list(model.genes)
