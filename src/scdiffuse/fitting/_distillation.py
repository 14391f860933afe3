"""A student of a model's denoiser: its network, and how close it comes to its teacher."""

from __future__ import annotations

import numpy as np
import torch

from scdiffuse._core.random import cell_normals, generator
from scdiffuse.diffusion import Euler, StudentTask, condition_tensors, new_student, sample, walk_paths
from scdiffuse.model import Parts, Student
from scdiffuse.nn import ConditionTensors
from scdiffuse.train import Run, TrainConfig, TrainState, train

__all__ = ["learn_student"]

_TRAINING = TrainConfig(
    batch_size=256, min_steps=1_500, max_steps=1_500, learning_rate=1e-3, n_validations=20, patience=6, decay=0.995
)
_EVERY = 10  # each tenth path validates


def learn_student(
    parts: Parts, *, n_steps: int, n_paths: int, max_epochs: int | None, seed: int, progress: bool
) -> Student:
    """Teach a copy of the denoiser to walk the denoiser's own path in few steps.

    Parameters
    ----------
    parts
        The fitted model; it is not changed.
    n_steps, n_paths, max_epochs, seed, progress
        As in `CellGenerator.distill`.

    Returns
    -------
    The student, on the device of the model.
    """
    device = parts.latent_mean.device
    noise = torch.from_numpy(cell_normals(seed, "paths of a student", np.arange(n_paths), len(parts.latent_mean)))
    conditions = _conditions(parts, n_paths, seed).to(device)
    paths = walk_paths(parts.denoiser, noise.to(device), conditions, n_steps=n_steps)
    n_held = max(1, n_paths // _EVERY)
    task = StudentTask(new_student(parts.denoiser), paths=paths, conditions=conditions, n_validation=n_held)
    state = TrainState.start(task, decay=_TRAINING.decay)
    n_train = _TRAINING.n_steps(task.n_cells, max_epochs)
    stopped = train(state, Run(stage="student", config=_TRAINING, n_steps=n_train, seed=seed, progress=progress))
    network = task.module.requires_grad_(requires_grad=False)
    held = conditions.rows(slice(n_paths - n_held, n_paths))
    made = sample(network, paths[-n_held:, 0].contiguous(), held, solver=Euler(), n_steps=n_steps)
    facts = {
        "n_steps": n_steps,
        "n_paths": n_paths,
        "n_train_steps": state.step,
        "seed": seed,
        "stopped": stopped,
        "distance": float((made - paths[-n_held:, -1]).square().mean().sqrt()),
    }
    return Student(network=network, facts=facts)


def _conditions(parts: Parts, n: int, seed: int) -> ConditionTensors:
    """Draw conditions as the training cells have them, some hidden as in the training."""
    trained, settings = parts.trained_on, parts.denoiser.config
    rng = generator(seed, "conditions of a student")
    rows = rng.choice(len(trained), n, p=trained.counts / trained.counts.sum())
    shown = condition_tensors(trained.take(rows))
    hidden = rng.random((n, shown.n_conditions)) < settings.drop_each
    hidden |= rng.random((n, 1)) < settings.drop_all
    return shown.without(torch.from_numpy(hidden))
