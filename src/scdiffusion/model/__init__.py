"""The object that users hold, its settings and its folder."""

from scdiffusion.autoencoder import AutoencoderConfig as AutoencoderConfig
from scdiffusion.diffusion import DiffusionConfig as DiffusionConfig
from scdiffusion.model._config import ModelConfig as ModelConfig
from scdiffusion.model._generator import CellGenerator as CellGenerator
from scdiffusion.model._load import load as load
from scdiffusion.model._trajectory_figure import plot_trajectory as plot_trajectory
from scdiffusion.train import TrainConfig as TrainConfig
