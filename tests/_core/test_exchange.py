"""Reduce-scatter and all-gather of rows; tests/train/test_updater.py runs them in two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from scdiffuse._core import exchange
from scdiffuse._core.exchange import Exchange, open_exchange
from scdiffuse._core.processes import Part, Processes

CPU = torch.device("cpu")


class Lonely(Processes):
    """The first of two processes, whose other one is simulated."""

    def __init__(self, *, can_share: bool) -> None:
        super().__init__(Part(0, 2))
        self.can_share = can_share
        self.path: str | None = None

    def all_reduce(self, tensor: Tensor) -> None:
        tensor += float(self.can_share)

    def broadcast_text(self, text: str | None) -> str | None:
        self.path = text
        return text

    def all_to_all(self, rows: Tensor) -> Tensor:
        return torch.stack([rows[0], torch.full_like(rows[0], 2.0)])


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of shared memory."""
    monkeypatch.setattr(exchange, "_SHARED_MEMORY", tmp_path)
    return tmp_path


def test_rows_are_reduced_in_shared_memory_without_a_name(memory: Path) -> None:
    processes = Lonely(can_share=True)
    one = open_exchange(processes, 3, CPU)
    assert type(one) is not Exchange
    assert not list(memory.iterdir())
    one.outgoing[0] = torch.tensor([1.0, 2.0, 3.0])
    one.all_gather()
    one.reduce_scatter()
    assert one.reduced.tolist() == [1.0, 2.0, 3.0]
    assert one.gathered.shape == one.outgoing.shape == (2, 3)


def test_messages_are_sent_where_another_process_cannot_see_the_memory(memory: Path) -> None:
    processes = Lonely(can_share=False)
    one = open_exchange(processes, 3, CPU)
    assert type(one) is Exchange
    assert not list(memory.iterdir())
    one.outgoing[0] = torch.tensor([1.0, 2.0, 3.0])
    one.reduce_scatter()
    assert one.reduced.tolist() == [3.0, 4.0, 5.0]


def test_messages_are_sent_where_memory_is_short(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, begin: int, n_bytes: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    processes = Lonely(can_share=True)
    one = open_exchange(processes, 3, CPU)
    assert type(one) is Exchange
    assert processes.path is None
    assert not list(memory.iterdir())
