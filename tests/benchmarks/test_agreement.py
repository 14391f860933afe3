"""What the comparison with other packages says where one of them is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.__main__ import parser_of
from benchmarks.records import Store
from benchmarks.studies import agreement
from benchmarks.study import Context

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("package", ["lisi", "scvi", "scimilarity"])
def test_a_package_that_is_not_installed_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "find_spec", lambda _: None)
    options = parser_of("agreement").parse_args(["agreement", "--package", package])
    context = Context(options=options, store=Store(tmp_path, agreement.name, agreement.unit))
    with pytest.raises(SystemExit, match=f"comparison with `{package}` needs the Python package"):
        list(agreement.run(context))
