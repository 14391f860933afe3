"""Names of users in text: what they hold is shown, and never acts on the terminal or page that shows it."""

from __future__ import annotations

import textwrap
import unicodedata

__all__ = ["figure_label", "one_line", "printable"]

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode that act on a terminal or break lines, and halves of characters, which no file can hold."""
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes that reorder the text around them, so that a reader sees another one."""


def one_line(text: object) -> str:
    r"""Write a name so that it stays one line of plain text.

    Parameters
    ----------
    text
        A label, the name of a gene, column or file, or an object that is shown as one.

    Returns
    -------
    The text, where control characters, line breaks and changes of direction are written as their codes.

    Examples
    --------
    >>> print(one_line("T\x1b[31m cell\n"))
    T\x1b[31m cell\n
    """
    return _escape(str(text), kept="")


def figure_label(name: object, *, most: int = 60, width: int | None = None) -> str:
    r"""Write a name for a figure of matplotlib, where it is no formula and never left out of a legend.

    Parameters
    ----------
    name
        A label, or the name of a gene or branch.
    most
        Number of characters from which on it is cut.
    width
        Most characters of a line; one line if not given.

    Returns
    -------
    The name as in `one_line`, with its dollar signs escaped.

    Examples
    --------
    >>> print(figure_label("IC$_{50}$ of a long name", most=12))
    IC\$_{50}\$...
    """
    line = one_line(name)
    short = line if len(line) <= most else line[: most - 3] + "..."
    lines = textwrap.wrap(short, width) or [short] if width is not None else [short]
    return (" " if short.startswith("_") else "") + "\n".join(lines).replace("$", r"\$")


def printable(text: str) -> str:
    r"""Write a text of several lines so that a terminal shows it and obeys none of it.

    Parameters
    ----------
    text
        What will be printed.

    Returns
    -------
    The text as in `one_line`, with line breaks and tabs kept.

    Examples
    --------
    >>> print(printable("first\nsecond\x07"))
    first
    second\x07
    """
    return _escape(text, kept="\n\t")


def _escape(text: str, *, kept: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in kept or not _acts(one) else one.encode("unicode_escape").decode() for one in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE or unicodedata.bidirectional(character) in _DIRECTIONS
