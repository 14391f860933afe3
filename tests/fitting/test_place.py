from __future__ import annotations

from typing import Any

import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.fitting._place import require_startable


@pytest.mark.parametrize("max_epochs", [1.5, "3"])
def test_epochs_that_are_no_whole_number_are_refused(max_epochs: Any) -> None:
    with pytest.raises(SettingError, match=r"`max_epochs` is .*; expected a whole number\. Leave it out"):
        require_startable(None, resume=False, overwrite=False, max_epochs=max_epochs)
