"""Guides: they wrap a denoiser and are one, so that every solver takes them."""

from scdiffusion.guidance._blend import Blend as Blend
from scdiffusion.guidance._blend import beside as beside
from scdiffusion.guidance._free import ConditionFree as ConditionFree
