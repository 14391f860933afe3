from __future__ import annotations

import torch

from scdiffuse.nn import ModulatedBlock


def grown() -> ModulatedBlock:
    block = ModulatedBlock(6, 4)
    with torch.no_grad():
        for weight in block.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    return block


def test_a_fresh_block_changes_nothing() -> None:
    block, h = ModulatedBlock(6, 4), torch.randn(3, 6)
    assert torch.equal(block(h, block.modulate(torch.randn(3, 4))), h)


def test_the_block_follows_its_equation() -> None:
    block, h, e = grown(), torch.randn(3, 6), torch.randn(3, 4)
    normal = (h - h.mean(1, keepdim=True)) / torch.sqrt(h.var(1, correction=0, keepdim=True) + 1e-5)
    modulated = block.scale(e) * normal + block.shift(e)
    expected = h + block.gate(e) * block.outer(torch.nn.functional.silu(block.inner(modulated)))
    torch.testing.assert_close(block(h, block.modulate(e)), expected)


def test_modulations_of_several_sources_add_up() -> None:
    block, a, b = grown(), torch.randn(3, 4), torch.randn(1, 4)
    for whole, part in zip(block.modulate(a + b), block.modulate(a).plus(block.modulate_without_bias(b)), strict=True):
        torch.testing.assert_close(whole, part)


def test_the_embedding_changes_the_block() -> None:
    block, h = grown(), torch.randn(1, 6)
    assert not torch.allclose(block(h, block.modulate(torch.zeros(1, 4))), block(h, block.modulate(torch.ones(1, 4))))
