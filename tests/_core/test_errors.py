from __future__ import annotations

import pytest

from scdiffuse._core import errors


def test_every_error_is_a_user_error() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, errors.UserError) for kind in kinds)


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (errors.CountsError, ValueError),
        (errors.NotFittedError, RuntimeError),
        (errors.OutputExistsError, FileExistsError),
        (errors.StorageError, OSError),
        (errors.OutOfMemoryError, MemoryError),
        (errors.MissingExtraError, ImportError),
        (errors.UnknownNameError, KeyError),
    ],
)
def test_an_error_is_caught_as_the_builtin_one_would_expect(ours: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(ours, builtin)
    assert str(ours("`x` is wrong.")) == "`x` is wrong."


def test_an_unknown_name_renders_without_quotes() -> None:
    assert str(errors.UnknownNameError("`day` is unknown.")) == "`day` is unknown."


def test_a_case_slip_is_recognised() -> None:
    assert errors.did_you_mean("b CELL", ["B cell", "T cell"]) == " Did you mean 'B cell'?"


def test_labels_that_are_numbers_are_suggested_as_numbers() -> None:
    assert errors.did_you_mean("121", [12, 7]) == " Did you mean 12?"


def test_the_name_that_was_typed_is_no_suggestion() -> None:
    assert errors.did_you_mean("B", ["B", "T"]) == ""
    assert errors.did_you_mean("cell_type", ["cell_type", "cell_types"]) == " Did you mean 'cell_types'?"
