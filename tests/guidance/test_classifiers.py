"""Classifiers of noisy latents against cells whose labels follow known laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.guidance import (
    NOISE_LEVELS,
    ClassifierConfig,
    ClassifierTask,
    LabelClassifier,
    NoisyCells,
    NumberRegressor,
)
from scdiffuse.train import Run, TrainConfig, TrainState, train

CONFIG = ClassifierConfig(width=16, depth=1, embedding_width=8)
COVARIANCE = torch.tensor([[0.5, 0.2, 0.0], [0.2, 0.3, 0.0], [0.0, 0.0, 1.0]]).double()
MEANS = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.5, 0.0], [0.0, -1.0, 0.0]]).double()
N_CELLS = 60_000
TIMES = torch.tensor([0.0, 0.2, 1.0, 1.4, math.pi / 2]).double()


def normals(n: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double()


def labelled(n: int = N_CELLS) -> tuple[Tensor, Tensor]:
    """Latents of three classes with one covariance, of fractions 1/2, 1/4, 1/4."""
    codes = torch.tensor([0, 1, 0, 2]).repeat(n // 4)
    return MEANS[codes] + normals(n, 3) @ torch.linalg.cholesky(COVARIANCE).T, codes


def shaken(network: LabelClassifier | NumberRegressor) -> None:
    """Give the network something to say."""
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=draws, dtype=weight.dtype))


@pytest.fixture(scope="module")
def classifier() -> LabelClassifier:
    made = LabelClassifier(3, 3, CONFIG).double()
    latents, codes = labelled()
    made.learn(latents, torch.zeros_like(latents), codes)
    return made


@pytest.mark.parametrize("theta", TIMES)
def test_moments_alone_are_exact_for_normal_classes_of_one_covariance(
    classifier: LabelClassifier, theta: Tensor
) -> None:
    cosine, sine = theta.cos(), theta.sin()
    y = normals(20, 3, seed=1)
    noisy = torch.distributions.MultivariateNormal(
        cosine * MEANS, cosine**2 * COVARIANCE + sine**2 * torch.eye(3).double()
    )
    exact = (noisy.log_prob(y[:, None]) + torch.tensor([0.5, 0.25, 0.25]).log()).log_softmax(1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(classifier.logits(cosine * y, theta), exact, atol=0.1, rtol=0)  # measured 0.04


def test_posteriors_of_latents_widen_the_classes() -> None:
    latents, codes = labelled(8000)
    made = LabelClassifier(3, 3, CONFIG).double()
    made.learn(latents, torch.full_like(latents, 2.0), codes)
    assert made.variances.max() == pytest.approx(1.0 + 4.0, abs=0.2)


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_latents_beyond_the_first_are_not_looked_at(kind: str) -> None:
    """Beside two latents of which it learns, the third one tells the target apart and changes nothing."""
    latents, codes = labelled(8000)
    target = codes.double()
    wide = torch.cat([latents[:, :2], target[:, None]], dim=1)
    narrow, made = (LabelClassifier(2, 3, CONFIG) if kind == "labels" else NumberRegressor(2, CONFIG) for _ in range(2))
    made.load_state_dict(narrow.state_dict())
    for network, seen in ((narrow, latents[:, :2]), (made, wide)):
        network.double().learn(seen, torch.zeros_like(seen), target)
        shaken(network)
    u, theta = wide[:50].clone().requires_grad_(), torch.tensor(0.7).double()
    found = made.log_prob(u, theta, target[:50])
    assert torch.equal(found, narrow.log_prob(latents[:50, :2], theta, target[:50]))
    (slope,) = torch.autograd.grad(found.sum(), u)
    assert torch.equal(slope[:, 2], torch.zeros(50).double())
    assert (slope[:, :2] != 0.0).all()


def test_pure_noise_leaves_the_fractions(classifier: LabelClassifier) -> None:
    theta = torch.tensor(math.pi / 2).double()
    shaken_one = LabelClassifier(3, 3, CONFIG).double()
    shaken_one.load_state_dict(classifier.state_dict())
    shaken(shaken_one)
    found = shaken_one.logits(theta.cos() * normals(9, 3), theta).exp()
    expected = torch.tensor([0.5, 0.25, 0.25]).double().expand(9, 3)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_gradient_in_pure_noise_leads_to_the_mean_of_the_label(classifier: LabelClassifier) -> None:
    """There the exact slope by u is the centre of the label less that of all cells."""
    u = torch.zeros(3, 3).double().requires_grad_()
    theta = torch.tensor(math.pi / 2).double()
    (slope,) = torch.autograd.grad(classifier.log_prob(u, theta, torch.arange(3)).sum(), u)
    everywhere = (torch.tensor([0.5, 0.25, 0.25]).double()[:, None] * MEANS).sum(0)
    torch.testing.assert_close(slope, MEANS - everywhere, atol=0.02, rtol=0)


def test_away_is_one_minus_the_probability(classifier: LabelClassifier) -> None:
    u, theta, target = normals(9, 3), torch.tensor(0.6).double(), torch.arange(9) % 3
    toward, away = (classifier.log_prob(u, theta, target, away=away).exp() for away in (False, True))
    torch.testing.assert_close(toward + away, torch.ones(9).double())


def test_each_row_has_its_own_time_and_no_mates(classifier: LabelClassifier) -> None:
    u, theta, target = normals(6, 3), torch.linspace(0.1, 1.5, 6).double(), torch.arange(6) % 3
    together = classifier.log_prob(u, theta, target)
    for at in range(6):
        alone = classifier.log_prob(u[at : at + 1], theta[at], target[at : at + 1])
        torch.testing.assert_close(alone[0], together[at])


@pytest.mark.parametrize("theta", TIMES)
def test_a_regressor_is_exact_where_latents_and_number_are_normal_together(theta: Tensor) -> None:
    weights, middle = torch.tensor([0.6, -0.4, 0.0]).double(), torch.tensor([0.3, -0.2, 0.5]).double()
    offset = normals(N_CELLS, 3) @ torch.linalg.cholesky(COVARIANCE).T
    rest = 1.0 - weights @ COVARIANCE @ weights
    number = offset @ weights + rest.sqrt() * normals(N_CELLS, 1, seed=5)[:, 0]
    made = NumberRegressor(3, CONFIG).double()
    made.learn(offset + middle, torch.zeros_like(offset), number)
    cosine, y = theta.cos(), normals(20, 3, seed=1)
    noisy = cosine**2 * COVARIANCE + theta.sin() ** 2 * torch.eye(3).double()
    gain = torch.linalg.solve(noisy, cosine * COVARIANCE @ weights)
    mean, variance = (moment.detach() for moment in made.moments(cosine * y, theta))
    torch.testing.assert_close(mean, (y - cosine * middle) @ gain, atol=0.05, rtol=0)
    assert float(variance) == pytest.approx(float(1.0 - cosine * weights @ COVARIANCE @ gain), abs=0.02)
    expected = torch.distributions.Normal(mean, variance.sqrt()).log_prob(torch.tensor(0.7))  # type: ignore[no-untyped-call]
    found = made.log_prob(cosine * y, theta, torch.full((20,), 0.7)).detach()
    torch.testing.assert_close(found, expected)


def test_classifiers_of_numbers_have_no_negative_guidance() -> None:
    with pytest.raises(
        SettingError, match=r"Negative guidance leads away from labels, not from numbers. Guide towards another"
    ):
        NumberRegressor(3, CONFIG).log_prob(torch.zeros(1, 3), torch.tensor(0.5), torch.zeros(1), away=True)


def test_a_width_of_zero_is_refused() -> None:
    with pytest.raises(SettingError, match="`width` must be at least 1, got 0; leave it out"):
        ClassifierConfig(width=0)


def _trained(network: LabelClassifier | NumberRegressor, latents: Tensor, target: Tensor) -> ClassifierTask:
    n = len(latents)
    cells = NoisyCells(latents.float(), torch.full_like(latents, 0.1).float(), target.float())
    order = np.random.default_rng(0).permutation(n)
    task = ClassifierTask(network, cells, train=np.sort(order[: n // 2]), validation=order[n // 2 : 3 * n // 4])
    config = TrainConfig(batch_size=128, min_steps=250, n_validations=5, learning_rate=5e-3, decay=0.95)
    before = task.validate()
    train(TrainState.start(task, config), Run(stage="test", config=config, n_steps=250, seed=0, progress=False))
    assert task.validate() == task.validate() < before
    return task


def test_the_network_learns_what_no_line_can_tell() -> None:
    """Two labels with the same mean: one in the middle of the other."""
    codes = torch.arange(2000) % 2
    latents = normals(2000, 2) * torch.where(codes == 0, 0.3, 1.5)[:, None]
    task = _trained(LabelClassifier(2, 2, ClassifierConfig()), latents, codes)
    found = task.accuracy(np.arange(1500, 2000))
    assert found[0] > 0.85  # Bayes: 0.9
    assert found[0] >= found[2] >= found[-1] - 0.02
    assert found[-1] == pytest.approx(0.5, abs=0.05)


def test_the_regressor_learns_what_no_line_can_tell() -> None:
    latents = normals(2000, 2)
    number = latents[:, 0].square()
    number = (number - number.mean()) / number.std()
    found = _trained(NumberRegressor(2, ClassifierConfig()), latents, number).accuracy(np.arange(1500, 2000))
    assert len(found) == len(NOISE_LEVELS)
    assert found[0] > 0.6
    assert found[-1] == pytest.approx(0.0, abs=0.02)


def test_many_labels_of_many_cells_need_no_table_of_both() -> None:
    codes = torch.arange(100_000).flip(0)
    latents = codes[:, None].double() / 50_000 - 1.0
    made = LabelClassifier(1, 1_000_000, ClassifierConfig(width=1, depth=1, embedding_width=2))
    made.learn(latents, torch.zeros_like(latents), codes)  # one column a label were 800 GB
    torch.testing.assert_close(made.class_means[:100_000].abs(), latents.flip(0).abs().float() / 3)
    assert not made.class_means[100_000:].any()


def test_numbers_that_are_all_the_same_leave_nothing_to_explain() -> None:
    cells = NoisyCells(normals(40, 2).float(), torch.zeros(40, 2), torch.full((40,), 0.3))
    network = NumberRegressor(2, ClassifierConfig())
    task = ClassifierTask(network, cells, train=np.arange(20), validation=np.arange(20, 30))
    assert task.accuracy(np.arange(30, 40)) == [0.0] * len(NOISE_LEVELS)
