"""Errors that a user can cause; each is also of the builtin family that one expects."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConditionError",
    "CountsError",
    "DataFileError",
    "ExtrapolationWarning",
    "GenesError",
    "LostProcessError",
    "MissingExtraError",
    "ModelFolderError",
    "NotFittedError",
    "OutOfMemoryError",
    "OutputExistsError",
    "ScdiffuseWarning",
    "SettingError",
    "StorageError",
    "UnknownNameError",
    "UserError",
    "did_you_mean",
]


class UserError(Exception):
    """A mistake that the user can correct; the command line ends with exit code 2."""


class CountsError(UserError, ValueError):
    """The matrix does not hold raw counts, or holds no counts at all."""


class ConditionError(UserError, ValueError):
    """An `obs` column cannot serve as a condition."""


class UnknownNameError(UserError, KeyError):
    """A name that does not exist."""

    def __str__(self) -> str:
        """Render the plain text, where ``KeyError`` would quote it."""
        return str(self.args[0]) if self.args else ""


class SettingError(UserError, ValueError):
    """A setting is out of its range, or two of them contradict."""


class NotFittedError(UserError, RuntimeError):
    """A call needs a fitted model."""


class ModelFolderError(UserError, ValueError):
    """A saved model is incomplete, altered, or of a newer version."""


class DataFileError(UserError, ValueError):
    """A file cannot be read as cells."""


class OutputExistsError(UserError, FileExistsError):
    """The output exists, and `overwrite` is false."""


class GenesError(UserError, ValueError):
    """The genes of the data and those of the model do not match."""


class MissingExtraError(UserError, ImportError):
    """An optional part is not installed."""


class StorageError(UserError, OSError):
    """The file system refuses: no permission or no space."""


class OutOfMemoryError(UserError, MemoryError):
    """Memory ran out; the message names the setting that lowers the need."""


class LostProcessError(UserError, RuntimeError):
    """One of several processes ended or does not answer; the command line ends with exit code 3."""


class ScdiffuseWarning(UserWarning):
    """Something that the user may want to know; the command line shows it as one line."""


class ExtrapolationWarning(ScdiffuseWarning):
    """A request lies outside of the range of the training cells."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Suggest the existing name that is most similar to a mistyped one.

    Parameters
    ----------
    name
        Name that the user wrote.
    known
        Names that exist.

    Returns
    -------
    ``" Did you mean 'x'?"``, or an empty string if no name is similar.

    Examples
    --------
    >>> did_you_mean("celltype", ["cell_type", "donor"])
    " Did you mean 'cell_type'?"
    >>> did_you_mean("q", ["cell_type", "donor"])
    ''
    """
    by_lowercase = {str(one).lower(): one for one in known if str(one) != str(name)}
    close = difflib.get_close_matches(str(name).lower(), list(by_lowercase), n=1, cutoff=0.6)
    return f" Did you mean {by_lowercase[close[0]]!r}?" if close else ""
