from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse._core.seeds import require_seed


@pytest.mark.parametrize("seed", [0, -1, np.int64(3), 2**63 - 1])
def test_whole_numbers_are_seeds(seed: int) -> None:
    require_seed(seed)


@pytest.mark.parametrize("seed", [None, "0", 1.5, 1.0])
def test_what_is_no_whole_number_is_no_seed(seed: Any) -> None:
    with pytest.raises(SettingError, match=r"`seed` is .*; expected a whole number\. Pass one without decimals"):
        require_seed(seed)


def test_a_seed_that_no_file_keeps_is_refused() -> None:
    with pytest.raises(SettingError, match="expected a whole number of at most"):
        require_seed(2**63)
