from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.oracles import labels, no_conditions

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import WHOLE, Part
from scdiffuse._core.random import Draws, generator
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion import DiffusionConfig, LatentDenoiser, LatentTask, denoising_loss, sample, validation_rows

CONFIG = DiffusionConfig(width=24, depth=2, embedding_width=16)
N, D = 400, 3


def table(n: int = N) -> ConditionTable:
    return ConditionTable((np.arange(n) % 2)[:, None], np.zeros((n, 0), dtype=np.float32))


def task(config: DiffusionConfig = CONFIG, *, spread: float = 0.0) -> LatentTask:
    """Latents at -1 and 1 for the two labels."""
    means = torch.from_numpy(2.0 * table().codes - 1).float().expand(N, D).contiguous()
    torch.manual_seed(0)  # the network's first weights
    denoiser = LatentDenoiser(D, n_labels=[2], config=config)
    cells = np.arange(N)
    return LatentTask(
        denoiser,
        means=means,
        stds=torch.full((N, D), spread),
        conditions=table(),
        train=cells[: N // 2],
        validation=cells[N // 2 :],
    )


def test_the_target_of_the_network_is_the_rotation_of_latents() -> None:
    """Where F is the target, the denoised mean is the clean latent."""
    z, noise, theta = torch.randn(4, D), torch.randn(4, D), torch.rand(4) * math.pi / 2
    cosine, sine = theta.cos()[:, None], theta.sin()[:, None]
    target = sine * z - cosine * noise
    torch.testing.assert_close(cosine * (cosine * z + sine * noise) + sine * target, z)
    fresh = LatentDenoiser(D, config=CONFIG)
    loss = denoising_loss(fresh, z, no_conditions(4), theta=theta, noise=noise)
    torch.testing.assert_close(loss, target.square().mean())


def test_a_fresh_network_has_a_loss_of_one() -> None:
    assert task().validate() == pytest.approx(1.0, abs=0.02)


def test_the_loss_depends_on_the_generator_alone() -> None:
    one, cells = task(), np.arange(64)
    losses = [float(one.loss(cells, Draws.of(generator(seed, "noise"), len(cells))).detach()) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_validation_has_the_same_draws_each_time() -> None:
    one = task()
    first = one.validate()
    one.loss(np.arange(64), Draws.of(generator(0, "noise"), 64))
    assert one.validate() == first


def test_validation_sees_few_cells_often_and_some_of_many() -> None:
    few, many = np.arange(100, 300), np.arange(1_000)
    rng = np.random.default_rng(0)
    assert np.unique(validation_rows(few, 500, rng), return_counts=True)[1].tolist() == [3] * 200
    some = validation_rows(many, 500, rng)
    assert len(some) == len(np.unique(some)) == 500


def test_validation_sees_validation_cells_only() -> None:
    one = task(spread=0.1)
    before = one.validate()
    one.means[: N // 2] += 100
    assert one.validate() == before
    assert float(one.loss(np.arange(64), Draws.of(generator(0, "noise"), 64)).detach()) > 100


def test_conditions_are_hidden_as_often_as_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    one = task(DiffusionConfig(width=24, depth=1, embedding_width=16, drop_each=0.2, drop_all=0.1))
    embed = one.denoiser.conditions.forward

    def record(conditions: object) -> torch.Tensor:
        seen.append(conditions.codes)  # type: ignore[attr-defined]
        return embed(conditions)  # type: ignore[arg-type]

    monkeypatch.setattr(one.denoiser.conditions, "forward", record)
    for step in range(50):
        one.loss(np.arange(200), Draws.of(generator(step, "noise"), 200))
    assert float((torch.cat(seen) < 0).float().mean()) == pytest.approx(0.28, abs=0.015)
    assert int(one.conditions.codes.min()) == 0


def test_training_learns_each_label_and_their_mixture() -> None:
    one = task(spread=0.2)
    optimiser = torch.optim.Adam(one.denoiser.parameters(), lr=5e-3)
    for step in range(300):
        optimiser.zero_grad()
        cells = generator(step, "cells").integers(0, one.n_cells, 128)
        one.loss(cells, Draws.of(generator(step, "noise"), len(cells))).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert one.validate() < 0.3  # 1 before; the best possible is near 0.1
    noise = torch.randn(1000, D, generator=torch.Generator().manual_seed(0))
    for code, low, high in ((0, -1.1, -0.9), (1, 0.9, 1.1), (-1, -0.3, 0.3)):
        z = sample(one.denoiser, noise, labels(torch.full((1000,), code)))
        assert low < float(z.mean()) < high
        assert float((z.abs() - 1).std()) == pytest.approx(0.2, abs=0.08)


def test_all_weights_are_trained() -> None:
    one = task()
    grouped = [weight for group in one.parameter_groups() for weight in group["params"]]
    assert {id(weight) for weight in grouped} == {id(weight) for weight in one.module.parameters()}


def test_rows_that_do_not_match_are_refused() -> None:
    denoiser = LatentDenoiser(D, n_labels=[2], config=CONFIG)
    means, cells = torch.zeros(5, D), np.arange(5)
    with pytest.raises(SettingError, match="5 means, 5 deviations and 4 rows of conditions"):
        LatentTask(denoiser, means=means, stds=means, conditions=table(4), train=cells, validation=cells)
    with pytest.raises(SettingError, match="no cells to validate with"):
        LatentTask(denoiser, means=means, stds=means, conditions=table(5), train=cells, validation=cells[:0])


@pytest.mark.parametrize("size", [2, 3])
def test_parts_of_a_step_and_of_a_validation_add_up(size: int) -> None:
    one, cells = task(spread=0.3), np.arange(30)

    def gradient(parts: list[Part]) -> torch.Tensor:
        one.module.zero_grad()
        for part in parts:
            mine = part.of(30)
            draws = Draws([generator(0, at) for at in mine], range(len(mine) + 1))
            loss = one.loss(cells[mine.start : mine.stop], draws) * (len(mine) / 30)
            loss.backward()  # type: ignore[no-untyped-call]
        held = [weight.grad.flatten() for weight in one.module.parameters() if weight.grad is not None]
        return torch.cat(held)

    parts = [Part(rank, size) for rank in range(size)]
    torch.testing.assert_close(gradient(parts), gradient([WHOLE]), rtol=1e-4, atol=1e-6)
    assert sum(one.validate(part) for part in parts) == pytest.approx(one.validate(), rel=1e-6)
