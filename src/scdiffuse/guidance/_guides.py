"""The guides by name; a new guide adds one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse.diffusion import Denoiser
from scdiffuse.guidance._classifier_free import ClassifierFreeGuide

__all__ = ["GUIDES", "Guide", "wrap_in_guides"]

Guide = Callable[..., Denoiser]
"""Class whose first argument is the denoiser to guide, followed by settings; it is a `Denoiser` itself."""

GUIDES: dict[str, Guide] = {"classifier_free": ClassifierFreeGuide}
"""Guides by name that need only a denoiser and settings. `ClassifierGuide` and `GradientInterpolation` also read
targets and weights of each cell; `scdiffuse.sampling` builds them."""


def wrap_in_guides(denoiser: Denoiser, guides: Mapping[str, Mapping[str, Any]]) -> Denoiser:
    """Wrap a denoiser in guides, the first one innermost.

    Parameters
    ----------
    denoiser
        The denoiser to guide; may be a guide itself.
    guides
        Settings of each guide, by its name in `GUIDES`.

    Returns
    -------
    The guided denoiser; `denoiser` itself without guides.

    Raises
    ------
    UnknownNameError
        There is no such guide.
    SettingError
        A guide has no such setting, or a value is out of range.
    """
    for name, settings in guides.items():
        if name not in GUIDES:
            msg = f"{name!r} is not a guide; expected one of {list(GUIDES)}."
            raise UnknownNameError(msg + did_you_mean(name, GUIDES))
        signature = inspect.signature(GUIDES[name])
        try:
            signature.bind(denoiser, **settings)
        except TypeError as error:
            known = list(signature.parameters)[1:]
            msg = f"The guide {name!r} got the settings {dict(settings)}; expected some of {known}."
            raise SettingError(msg) from error
        denoiser = GUIDES[name](denoiser, **settings)
    return denoiser
