"""Lower precision within a context, and the same as before after it."""

from __future__ import annotations

import torch
from torch import nn

from scdiffuse.nn import computing_in

CPU = torch.device("cpu")


def test_results_are_rounded_products_in_float32_and_only_within() -> None:
    torch.manual_seed(0)
    network, x = nn.Linear(64, 8), torch.randn(16, 64)
    exact = network(x)
    with computing_in("bf16", [network], device=CPU):
        rounded = network(x)
    assert rounded.dtype == network.weight.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.03)
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.equal(rounded, exact)
    assert torch.equal(network(x), exact)
    with computing_in("float32", [network], device=CPU):
        assert torch.equal(network(x), exact)


def test_gradients_reach_float32_weights() -> None:
    network = nn.Linear(4, 2)
    with computing_in("bf16", [network], device=CPU):
        network(torch.ones(3, 4)).sum().backward()
    assert network.weight.grad is not None
    assert network.weight.grad.dtype == torch.float32
    assert torch.equal(network.weight.grad, torch.full((2, 4), 3.0))
