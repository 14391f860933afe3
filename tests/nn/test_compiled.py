"""Networks are compiled for training steps only, and the context leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import compiled_steps, computing_in, require_compiler

CPU = torch.device("cpu")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of a compiler that only records them."""
    noted: list[str] = []

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: object) -> object:
            noted.append("compiled")
            return function(*given)

        return called

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr("shutil.which", lambda name: name)
    return noted


def test_steps_are_compiled_and_validations_are_not(calls: list[str]) -> None:
    network, x = nn.Linear(3, 2), torch.ones(4, 3)
    with compiled_steps([network]):
        inside = network(x)
        with torch.no_grad():
            network(x)
    assert calls == ["compiled"]
    torch.testing.assert_close(inside, network(x), rtol=0, atol=0)
    assert calls == ["compiled"]


def test_fewer_bits_are_kept_while_compiled_and_undone_after(calls: list[str]) -> None:
    network = nn.Linear(3, 2)
    with computing_in("bf16", [network], device=CPU):
        lowered = network.forward
        with compiled_steps([network]):
            network(torch.ones(4, 3))
        assert network.forward is lowered
    assert "forward" not in vars(network)
    assert calls == ["compiled"]


def test_without_a_compiler_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SettingError, match=r"no compiler is installed for 'cpu'.*`g\+\+`.*leave `compiled` out"):
        require_compiler(CPU)
