"""Single values as Python has them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["plain_scalar"]


def plain_scalar(value: Any) -> Any:  # noqa: ANN401 - any label or number
    """Turn a numpy scalar into a Python scalar, for JSON and messages; other values stay as they are."""
    return value.item() if isinstance(value, np.generic) else value
