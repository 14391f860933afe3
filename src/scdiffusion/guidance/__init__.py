"""Guides: they wrap a denoiser and are one, so that every solver takes them."""

from scdiffusion.guidance._free import ConditionFree as ConditionFree
