"""Parts of the work, and jobs that cannot begin."""

from __future__ import annotations

import pytest
import torch

from scdiffuse._core.errors import LostProcessError, SettingError
from scdiffuse._core.processes import ALONE, Part, Processes, _report_lost_process, is_main_process, joined


@pytest.mark.parametrize(("n", "size"), [(0, 3), (2, 3), (10, 3), (1000, 7)])
def test_parts_are_even_and_cover_everything_once(n: int, size: int) -> None:
    parts = [Part(rank, size).of(n) for rank in range(size)]
    assert [item for part in parts for item in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_alone_has_all_and_waits_for_nobody() -> None:
    rows = torch.arange(6.0)
    ALONE.all_reduce(rows)
    ALONE.all_gather_blocks(rows, 2)
    ALONE.broadcast([rows])
    ALONE.barrier()
    assert rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert ALONE.total(2.5) == 2.5
    assert ALONE.is_first
    assert ALONE.is_one_machine()
    assert ALONE.place("cuda") == "cuda"


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    one = Processes(Part(5, 8))
    assert [one.place("cuda"), one.place("cuda:3"), one.place("cpu")] == ["cuda:1", "cuda:3", "cpu"]


def test_without_a_job_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cuda"):
        assert Processes.present().size == 1
    assert is_main_process()


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=r"Process 3 is number 1 on its machine, which has 1 GPUs; expected one GPU"):
        joined("cuda").__enter__()
    assert not is_main_process()


def test_a_process_that_is_gone_is_reported_with_what_to_do() -> None:
    words = r"Process 1 of 2 lost the others \(Connection closed\).*`--resume`"
    with pytest.raises(LostProcessError, match=words), _report_lost_process(Part(1, 2)):
        raise RuntimeError(*["Connection closed"])


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("RANK", "x"), ("RANK", "2")])
def test_an_environment_that_describes_no_job_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for known, number in {"WORLD_SIZE": "2", "RANK": "0", name: value}.items():
        monkeypatch.setenv(known, number)
    with pytest.raises(SettingError, match=f"{name} is '{value}'; expected a whole number"), joined("cpu"):
        pass
