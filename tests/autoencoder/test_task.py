"""The training task: reproducible losses, weights of cells, late starts, when dispersions are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from scdiffuse._core.processes import WHOLE, Part
from scdiffuse._core.random import Draws, generator
from scdiffuse.autoencoder import (
    AutoencoderConfig,
    AutoencoderTask,
    CellConditions,
    CountAutoencoder,
    DispersionConfig,
)
from scdiffuse.autoencoder._counts import read_counts
from scdiffuse.cells import open_source
from scdiffuse.nn import ConditionPrior, ConditionTensors


@pytest.fixture
def task(adata: ad.AnnData) -> AutoencoderTask:
    """Fifty cells to learn from and ten to stop by."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CountAutoencoder(torch.full((adata.n_vars,), 0.1), AutoencoderConfig(n_latent=2, n_hidden=8))
    return AutoencoderTask(network, open_source(adata), training=np.arange(50), validation=np.arange(50, 60))


def test_the_loss_depends_on_cells_and_draws_alone(task: AutoencoderTask) -> None:
    cells = np.array([3, 1, 44])
    losses = [task.loss(cells, Draws.of(generator(seed), 3)).item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_validation_draws_the_same_each_time(task: AutoencoderTask) -> None:
    assert task.validate() == task.validate()


def test_every_weight_is_in_one_group(task: AutoencoderTask) -> None:
    grouped = [id(weight) for group in task.parameter_groups() for weight in group["params"]]
    at_end = {"decoder.dispersion_loadings", "likelihood.mean_exponent"}
    weights = task.module.named_parameters()
    assert sorted(grouped) == sorted(id(weight) for name, weight in weights if name not in at_end)


def test_a_few_steps_lower_the_validation_loss(task: AutoencoderTask) -> None:
    before = task.validate()
    optimiser = torch.optim.Adam([one for group in task.parameter_groups() for one in group["params"]], lr=0.01)
    for step in range(60):
        optimiser.zero_grad()
        task.loss(np.arange(50), Draws.of(generator(step), 50)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert task.validate() < before - 1.0


def test_no_cell_weighs_more_than_ten_usual_ones(task: AutoencoderTask) -> None:
    usual = float(np.median(np.asarray(task._validation_counts.sum(axis=1))))
    sizes = np.array([1.0, usual, 9 * usual, 40 * usual])
    weights = task._library_size_weights(sp.csr_matrix(sizes[:, None].astype(np.float32)))
    np.testing.assert_allclose(weights.numpy(), [1.0, 1.0, 1.0, 0.25])


def test_a_cell_of_a_thousand_times_the_counts_does_not_dominate_the_loss(
    adata: ad.AnnData, task: AutoencoderTask
) -> None:
    adata.X[3] = 1000 * adata.X[3]
    cells = np.arange(50)
    heavy = AutoencoderTask(task.module, open_source(adata), training=cells, validation=np.arange(50, 60))
    with_it, without = (one.loss(cells, Draws.of(generator(0), 50)).item() for one in (heavy, task))
    assert with_it < 2 * without


@pytest.mark.parametrize("size", [2, 3])
def test_parts_of_a_step_and_of_a_validation_add_up(task: AutoencoderTask, size: int) -> None:
    cells = np.arange(30)
    whole, whole_loss = _gradient(task, cells, [WHOLE])
    parts, loss = _gradient(task, cells, [Part(rank, size) for rank in range(size)])
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
    shared = sum(task.validate(Part(rank, size)) for rank in range(size))
    assert shared == pytest.approx(task.validate(), rel=1e-6)


def _gradient(task: AutoencoderTask, cells: NDArray[np.int64], parts: list[Part]) -> tuple[torch.Tensor, float]:
    """Sum what the parts of a step find."""
    task.module.zero_grad()
    total = 0.0
    for part in parts:
        rows = slice(len(cells) * part.rank // part.size, len(cells) * (part.rank + 1) // part.size)
        streams = [generator(0, at) for at in range(rows.start, rows.stop)]
        draws = Draws(streams, range(rows.stop - rows.start + 1))
        loss = task.loss(cells[rows], draws) * ((rows.stop - rows.start) / len(cells))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return torch.cat([weight.grad.flatten() for weight in task.module.parameters() if weight.grad is not None]), total


def test_nothing_starts_late_in_a_warm_started_network(adata: ad.AnnData, task: AutoencoderTask) -> None:
    cells = np.arange(60)
    source = open_source(adata)
    tuned = AutoencoderTask(task.module, source, training=cells[:50], validation=cells[50:], is_warm_started=True)
    assert [group["begin"] for group in tuned.parameter_groups()] == [0.0] * 4
    assert max(group["begin"] for group in task.parameter_groups()) > 0.0
    losses = [one.loss(cells[:50], Draws.of(generator(0), 50), progress=0.0).item() for one in (task, tuned)]
    assert losses[0] != losses[1]


def _dispersion_gradients(task: AutoencoderTask, n: int) -> torch.Tensor:
    """Compute the gradients of all dispersion parameters."""
    network, rows = task.module, task._source.rows(np.arange(n))
    with torch.no_grad():
        logits = network.decoder(network.infer(rows, torch.zeros(n, network.config.n_latent))[0])
    nll = network.likelihood.nll_per_cell(logits, read_counts(rows, logits.device))
    loss = (task._library_size_weights(rows) * nll).sum() + network.likelihood.penalty()
    names = network.likelihood.precisions()
    return torch.stack(torch.autograd.grad(loss, [network.likelihood.get_parameter(name) for name in names]))


def _decoded_means(task: AutoencoderTask, n: int) -> np.ndarray[Any, Any]:
    counts = task._source.rows(np.arange(n))
    fractions = task.module.fractions(task.module.encode(counts).mean)
    return np.asarray((fractions * np.asarray(counts.sum(axis=1))).mean(axis=0))


def test_decoded_means_become_those_of_the_training_cells(adata: ad.AnnData, task: AutoencoderTask) -> None:
    counted, errors = np.asarray(adata.X.mean(axis=0)).ravel(), []
    off, on = _with(adata, task, mean_fit=False), _with(adata, task, mean_prior=0.0)
    for other in (off, on):
        other.fit_means()
        errors.append(float(np.abs(np.log(_decoded_means(other, adata.n_obs) / counted)).mean()))
    assert torch.equal(off.module.decoder.bias, task.module.decoder.bias)
    assert errors[1] < 0.2 * errors[0]


_EACH_ALONE = DispersionConfig(shared_prior=False, mean_dependence=False, state_dependence=False, outlier_precision=2.0)


def test_dispersions_are_fitted_to_their_optimum_and_nothing_else_moves() -> None:
    rng, n, means = np.random.default_rng(0), 600, np.array([4.0, 9.0, 30.0, 60.0])
    size = np.array([0.7, 2.0, 5.0, 1e6])
    counts = rng.poisson(rng.gamma(size, means / size, (n, 4)))
    counts[:, 3] += 200  # most of the library size, so that fractions hardly depend on the other genes
    cells = ad.AnnData(sp.csr_matrix(counts.astype(np.float32)))
    network = CountAutoencoder(
        torch.from_numpy(counts.mean(axis=0) / counts.sum(axis=1).mean()).float(),
        AutoencoderConfig(n_latent=2, n_hidden=8, dispersion=_EACH_ALONE),
    )
    network.decoder.loadings.data.zero_()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    task = AutoencoderTask(network, open_source(cells), training=np.arange(n), validation=np.arange(n))
    task.fit_dispersions()
    fitted = network.likelihood.get_parameter("log_inverse_dispersion").detach().numpy()
    off = np.abs(fitted[:3] - np.log(size[:3]))
    assert (off < [0.25, 0.25, 0.4]).all()  # at the optimum a part of the third's variance is explained by outliers
    gradients = _dispersion_gradients(task, n)
    assert gradients.abs().max() < 2.0  # nats per unit of the log; a sixth of a unit off would give 50
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {
        f"likelihood.{name}" for name in ("log_inverse_dispersion", "log_outlier_rate", "log_outlier_size")
    }
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())


def _of_labels(adata: ad.AnnData, task: AutoencoderTask, codes: list[int]) -> AutoencoderTask:
    """Give labels to the fifty training cells, and the same ones in reverse order to the validation cells."""
    prior = ConditionPrior([2], 0, 2)
    training, validation = (
        ConditionTensors(torch.tensor(part)[:, None], torch.zeros(len(part), 0)) for part in (codes, codes[:10][::-1])
    )
    return AutoencoderTask(
        task.module,
        open_source(adata),
        training=np.arange(50),
        validation=np.arange(50, 60)[::-1].copy(),
        conditions=CellConditions(prior, training, validation),
    )


def test_conditions_move_the_prior_of_latents(adata: ad.AnnData, task: AutoencoderTask) -> None:
    labelled = _of_labels(adata, task, [0, 1] * 25)
    cells = np.array([4, 7])
    same = [one.loss(cells, Draws.of(generator(0), 2)).item() for one in (task, labelled)]
    assert same[0] == pytest.approx(same[1])
    assert labelled.validate() == pytest.approx(task.validate())
    assert labelled._conditions is not None
    with torch.no_grad():
        labelled._conditions.prior.weights[:] = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    rows = labelled._validation_counts
    mean = task.module.encode(rows).mean[:, 0]
    first = torch.tensor([0, 1] * 5) == 0  # both cells and labels were given in reverse order
    extra = (0.5 * (3.0 - mean[first]) ** 2 - 0.5 * mean[first] ** 2).sum() / 10
    assert labelled.validate() - task.validate() == pytest.approx(extra.item(), rel=1e-3)


def test_the_prior_learns_beside_the_network(adata: ad.AnnData, task: AutoencoderTask) -> None:
    labelled = _of_labels(adata, task, [0, 1] * 25)
    assert labelled._conditions is not None
    assert any(labelled._conditions.prior.weights is weight for weight in labelled.parameter_groups()[-1]["params"])
    labelled.loss(np.arange(50), Draws.of(generator(0), 50)).backward()  # type: ignore[no-untyped-call]
    assert labelled._conditions.prior.weights.grad is not None
    assert (labelled._conditions.prior.weights.grad != 0).all()


def _with(adata: ad.AnnData, task: AutoencoderTask, **settings: Any) -> AutoencoderTask:
    """Build the same network under other settings, with labels of which one is rare."""
    network = CountAutoencoder(torch.full((adata.n_vars,), 0.1), replace(task.module.config, **settings))
    network.load_state_dict(task.module.state_dict(), strict=False)
    copied = copy(task)
    copied.module = network
    return _of_labels(adata, copied, [0] * 45 + [1] * 5)


def _losses(tasks: Sequence[AutoencoderTask]) -> list[float]:
    return [one.loss(np.arange(50), Draws.of(generator(0), 50)).item() for one in tasks]


def test_thinning_is_off_at_zero(adata: ad.AnnData, task: AutoencoderTask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[sp.csr_matrix] = []

    def infer(counts: sp.csr_matrix, noise: torch.Tensor, **given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(given["seen"])
        return torch.zeros(len(noise), 2), torch.zeros(len(noise))

    for thinning in (0.0, 0.6):
        other = _with(adata, task, thinning=thinning)
        monkeypatch.setattr(other.module, "infer", infer)
        _losses([other])
    whole = task._source.rows(np.arange(50))
    assert (seen[0] != whole).nnz == 0
    assert seen[1].sum() < whole.sum()


def test_without_the_outlier_component_the_likelihood_is_the_plain_negative_binomial(
    adata: ad.AnnData, task: AutoencoderTask
) -> None:
    off = _with(adata, task, likelihood="negative_binomial")
    assert list(off.module.likelihood.precisions()) == ["log_inverse_dispersion"]
    on = _with(adata, task)
    late, early = (on.loss(np.arange(50), Draws.of(generator(0), 50), progress=at).item() for at in (1.0, 0.0))
    assert _losses([off])[0] == pytest.approx(early) != pytest.approx(late)


def test_the_final_fit_of_dispersions_is_off_without_its_setting(adata: ad.AnnData, task: AutoencoderTask) -> None:
    for is_on in (False, True):
        other = _with(adata, task, dispersion_fit=is_on)
        before = other.module.likelihood.get_parameter("log_inverse_dispersion").clone()
        other.fit_dispersions()
        assert torch.equal(other.module.likelihood.get_parameter("log_inverse_dispersion"), before) is not is_on


def test_the_seed_decides_what_validation_and_the_fit_of_dispersions_draw(
    adata: ad.AnnData, task: AutoencoderTask
) -> None:
    cells, found = np.arange(60), []
    for seed in (0, 1):
        network = deepcopy(task.module)
        other = AutoencoderTask(network, task._source, training=cells[:50], validation=cells[50:], seed=seed)
        loss = other.validate()
        other.fit_dispersions()
        found.append((loss, float(network.likelihood.get_parameter("log_inverse_dispersion").detach().sum())))
    assert found[0][0] == task.validate() != found[1][0]
    assert found[0][1] != found[1][1]
