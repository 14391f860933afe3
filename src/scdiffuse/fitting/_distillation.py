"""Distillation: a sampler that learns to take the path of the denoiser in few steps."""

from __future__ import annotations

import numpy as np
import torch

from scdiffuse._core.random import cell_normals, generator
from scdiffuse.diffusion import DistillationTask, Euler, condition_tensors, integrate_paths, new_distilled, sample
from scdiffuse.model import DistillationRecord, DistilledSampler, ModelConfig, Networks
from scdiffuse.nn import ConditionTensors
from scdiffuse.train import Run, TrainState, train

__all__ = ["distill_sampler"]


def distill_sampler(
    networks: Networks,
    config: ModelConfig,
    *,
    solver_steps: int,
    n_paths: int,
    max_epochs: int | None,
    seed: int,
    progress: bool,
) -> DistilledSampler:
    """Train a copy of the denoiser to integrate the denoiser's own path in few steps.

    Parameters
    ----------
    networks
        The fitted model; it is not changed.
    config
        Settings of the training.
    solver_steps, n_paths, max_epochs, seed, progress
        As in `CellGenerator.distill`.

    Returns
    -------
    The sampler, on the device of the model.
    """
    device = networks.latent_mean.device
    noise = torch.from_numpy(cell_normals(seed, "paths of a student", np.arange(n_paths), len(networks.latent_mean)))
    conditions = _conditions(networks, n_paths, seed).to(device)
    paths = integrate_paths(networks.denoiser, noise.to(device), conditions, solver_steps=solver_steps)
    n_held = max(1, int(config.validation_fraction * n_paths))
    task = DistillationTask(new_distilled(networks.denoiser), paths=paths, conditions=conditions, n_validation=n_held)
    training = config.distillation_training
    state = TrainState.start(task, training)
    n_train = training.n_steps(task.n_cells, max_epochs)
    stopped = train(state, Run(stage="student", config=training, n_steps=n_train, seed=seed, progress=progress))
    network = task.module.requires_grad_(requires_grad=False)
    held = conditions.rows(slice(n_paths - n_held, n_paths))
    made = sample(network, paths[-n_held:, 0].contiguous(), held, solver=Euler(), solver_steps=solver_steps)
    record: DistillationRecord = {
        "solver_steps": solver_steps,
        "n_paths": n_paths,
        "n_train_steps": state.step,
        "seed": seed,
        "stopped": stopped,
        "distance": float((made - paths[-n_held:, -1]).square().mean().sqrt()),
    }
    return DistilledSampler(network=network, record=record)


def _conditions(networks: Networks, n: int, seed: int) -> ConditionTensors:
    """Draw conditions as the training cells have them, some hidden as in the training."""
    trained, settings = networks.trained_on, networks.denoiser.config
    rng = generator(seed, "conditions of a student")
    rows = rng.choice(len(trained), n, p=trained.counts / trained.counts.sum())
    shown = condition_tensors(trained.take(rows))
    hidden = rng.random((n, shown.n_conditions)) < settings.drop_each
    hidden |= rng.random((n, 1)) < settings.drop_all
    return shown.without(torch.from_numpy(hidden))
