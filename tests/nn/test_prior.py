"""Prior of the latents given conditions."""

from __future__ import annotations

import torch

from scdiffuse.nn import ConditionPrior, ConditionTensors


def test_conditions_add_up_and_missing_ones_add_nothing() -> None:
    prior = ConditionPrior([2, 3], 1, 2)
    codes = torch.tensor([[0, 1], [0, -1], [-1, 1], [-1, -1]])
    values = torch.tensor([[0.5], [torch.nan], [0.5], [torch.nan]])
    conditions = ConditionTensors(codes, values)
    assert (prior(conditions) == 0).all()
    with torch.no_grad():
        prior.weights.normal_()
    both, one, other, none = prior(conditions)
    torch.testing.assert_close(both, one + other)
    assert (none == 0).all()
    assert (one != 0).all()
