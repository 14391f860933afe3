"""The errors a user can cause, each also of the builtin family one would expect."""

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
    "SettingError",
    "StorageError",
    "UnknownNameError",
    "UserError",
    "did_you_mean",
]


class UserError(Exception):
    """A mistake that the user can mend; the command line ends with exit code 2."""


class CountsError(UserError, ValueError):
    """The matrix is not one of raw counts, or holds nothing to learn from."""


class ConditionError(UserError, ValueError):
    """An `obs` column cannot serve as a condition."""


class UnknownNameError(UserError, KeyError):
    """A name that is not among the known ones."""

    def __str__(self) -> str:
        """Render the plain text, where ``KeyError`` would quote it."""
        return str(self.args[0]) if self.args else ""


class SettingError(UserError, ValueError):
    """A setting is out of its range, or two of them contradict."""


class NotFittedError(UserError, RuntimeError):
    """The model was asked for what only a fitted one can give."""


class ModelFolderError(UserError, ValueError):
    """A saved model is incomplete, altered, or of a newer version."""


class DataFileError(UserError, ValueError):
    """A file cannot be read as cells."""


class OutputExistsError(UserError, FileExistsError):
    """The output is already there and overwriting was not asked for."""


class GenesError(UserError, ValueError):
    """The genes of the data and those expected do not fit."""


class MissingExtraError(UserError, ImportError):
    """An optional part is not installed."""


class StorageError(UserError, OSError):
    """The file system refuses: no permission or no space."""


class OutOfMemoryError(UserError, MemoryError):
    """Memory ran out; the message names the setting that lowers the need."""


class LostProcessError(UserError, RuntimeError):
    """One of several processes has ended or does not answer; the command line ends with exit code 3."""


class ExtrapolationWarning(UserWarning):
    """Cells are asked for beyond what was measured."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Suggest the known name that looks most like a mistyped one.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that would have been right.

    Returns
    -------
    ``" Did you mean 'x'?"``, or an empty string where nothing comes close.

    Examples
    --------
    >>> did_you_mean("celltype", ["cell_type", "donor"])
    " Did you mean 'cell_type'?"
    >>> did_you_mean("q", ["cell_type", "donor"])
    ''
    """
    by_lowercase = {str(one).lower(): one for one in known}
    close = difflib.get_close_matches(str(name).lower(), list(by_lowercase), n=1, cutoff=0.6)
    return f" Did you mean {by_lowercase[close[0]]!r}?" if close else ""
