"""Single values that a user gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from scdiffuse._core.errors import SettingError
from scdiffuse._core.scalars import whole_number


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)], ids=repr)
def test_whole_numbers_of_other_libraries_become_those_of_python(value: object) -> None:
    assert json.dumps(whole_number(value, "seed")) == "3"


@pytest.mark.parametrize("value", [3.0, "3", None, np.float64(3)], ids=repr)
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match=r"`seed` is .*; expected a whole number\. Pass one without decimals"):
        whole_number(value, "seed")
