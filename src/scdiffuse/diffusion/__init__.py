"""Latent diffusion: generate latents from noise with a network that removes noise.

`DiffusionConfig` holds the settings, `scales` and `angle` define time, from 0 (data) to 1 (noise). `LatentDenoiser`
predicts the mean of the clean latents (x0 prediction), and `LatentTask` trains it. A `Solver` takes one step along the
probability-flow ODE; `sample` repeats steps from noise to data, or from data to noise (ODE inversion).
`DistillationTask` trains a sampler that needs few steps. A new solver is one class in a file of its own and one line in
`SOLVERS`.
"""

from scdiffuse.diffusion._config import DiffusionConfig as DiffusionConfig
from scdiffuse.diffusion._denoiser import DenoisedMean as DenoisedMean
from scdiffuse.diffusion._denoiser import Denoiser as Denoiser
from scdiffuse.diffusion._denoiser import LatentDenoiser as LatentDenoiser
from scdiffuse.diffusion._distillation import DistillationTask as DistillationTask
from scdiffuse.diffusion._distillation import integrate_paths as integrate_paths
from scdiffuse.diffusion._distillation import new_distilled as new_distilled
from scdiffuse.diffusion._euler import Euler as Euler
from scdiffuse.diffusion._heun import Heun as Heun
from scdiffuse.diffusion._multistep import Multistep as Multistep
from scdiffuse.diffusion._path import Scales as Scales
from scdiffuse.diffusion._path import add_noise as add_noise
from scdiffuse.diffusion._path import angle as angle
from scdiffuse.diffusion._path import scales as scales
from scdiffuse.diffusion._sampling import MOST_STEPS as MOST_STEPS
from scdiffuse.diffusion._sampling import SAMPLED_AT_ONCE as SAMPLED_AT_ONCE
from scdiffuse.diffusion._sampling import sample as sample
from scdiffuse.diffusion._solver import PastVelocity as PastVelocity
from scdiffuse.diffusion._solver import Solver as Solver
from scdiffuse.diffusion._solver import Step as Step
from scdiffuse.diffusion._solver import Velocity as Velocity
from scdiffuse.diffusion._solvers import SOLVERS as SOLVERS
from scdiffuse.diffusion._solvers import SolverName as SolverName
from scdiffuse.diffusion._solvers import solver_named as solver_named
from scdiffuse.diffusion._task import LatentTask as LatentTask
from scdiffuse.diffusion._task import condition_tensors as condition_tensors
from scdiffuse.diffusion._task import denoising_loss as denoising_loss
from scdiffuse.diffusion._task import validation_rows as validation_rows
