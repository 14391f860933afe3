from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import WeightAverage


def weights() -> list[Parameter]:
    return [Parameter(torch.tensor([1.0, 2.0])), Parameter(torch.tensor([[3.0]]))]


def test_the_average_follows_its_equation() -> None:
    followed, expected = weights(), 3.0
    average = WeightAverage(followed, decay=0.3)
    for n in range(8):
        with torch.no_grad():
            followed[1].add_(1.0)
        average.update()
        decay = min(0.3, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * (4.0 + n)
    assert float(average.values[1]) == pytest.approx(expected, rel=1e-6)


def test_the_average_starts_at_the_weights() -> None:
    followed = weights()
    assert all(torch.equal(a, b) for a, b in zip(WeightAverage(followed).values, followed, strict=True))


def test_swapping_lasts_as_long_as_the_context_even_when_it_fails() -> None:
    followed = weights()
    average = WeightAverage(followed, decay=0.5)
    with torch.no_grad():
        followed[0].fill_(9.0)

    def fail() -> None:
        with average.swap():
            assert followed[0].tolist() == [1.0, 2.0]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert followed[0].tolist() == [9.0, 9.0]


def test_a_restored_average_goes_on_as_if_never_stopped() -> None:
    followed = weights()
    whole = WeightAverage(followed, decay=0.9)
    with torch.no_grad():
        followed[0].fill_(5.0)
    whole.update()
    resumed = WeightAverage(followed, decay=0.9)
    resumed.load_state_dict(whole.state_dict())
    for average in (whole, resumed):
        average.update()
    assert all(torch.equal(a, b) for a, b in zip(whole.values, resumed.values, strict=True))
    assert resumed.n_updates == 2


def test_a_saved_state_is_not_changed_by_later_updates() -> None:
    followed = weights()
    average = WeightAverage(followed)
    state = average.state_dict()
    with torch.no_grad():
        followed[0].fill_(5.0)
    average.update()
    assert state["values"][0].tolist() == [1.0, 2.0]


def test_the_state_of_other_weights_is_refused() -> None:
    state = WeightAverage(weights()[:1]).state_dict()
    with pytest.raises(SettingError, match="Load the state into the network that it was saved from"):
        WeightAverage(weights()).load_state_dict(state)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(SettingError, match="`decay` must be at least 0 and below 1"):
        WeightAverage(weights(), decay)
