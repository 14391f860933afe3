"""Latent diffusion: the path between noise and data, the denoiser, the solvers, the one sampling loop."""

from scdiffusion.diffusion._config import DiffusionConfig as DiffusionConfig
from scdiffusion.diffusion._config import SolverName as SolverName
from scdiffusion.diffusion._denoiser import Denoiser as Denoiser
from scdiffusion.diffusion._denoiser import Estimate as Estimate
from scdiffusion.diffusion._denoiser import LatentDenoiser as LatentDenoiser
from scdiffusion.diffusion._path import Scales as Scales
from scdiffusion.diffusion._path import add_noise as add_noise
from scdiffusion.diffusion._path import angle as angle
from scdiffusion.diffusion._path import scales as scales
from scdiffusion.diffusion._sampling import SAMPLED_AT_ONCE as SAMPLED_AT_ONCE
from scdiffusion.diffusion._sampling import sample as sample
from scdiffusion.diffusion._solvers import SOLVERS as SOLVERS
from scdiffusion.diffusion._solvers import Euler as Euler
from scdiffusion.diffusion._solvers import Heun as Heun
from scdiffusion.diffusion._solvers import Known as Known
from scdiffusion.diffusion._solvers import Multistep as Multistep
from scdiffusion.diffusion._solvers import Solver as Solver
from scdiffusion.diffusion._solvers import Step as Step
from scdiffusion.diffusion._solvers import solver_named as solver_named
from scdiffusion.diffusion._student import StudentTask as StudentTask
from scdiffusion.diffusion._student import new_student as new_student
from scdiffusion.diffusion._student import walk_paths as walk_paths
from scdiffusion.diffusion._task import LatentTask as LatentTask
from scdiffusion.diffusion._task import condition_tensors as condition_tensors
from scdiffusion.diffusion._task import denoising_loss as denoising_loss
