"""Short cards that notebooks show: plain HTML in the colours of the page around it, without a script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from scdiffuse._core.text import one_line

__all__ = ["html_card"]

_MOST_CHARACTERS = 400  # of a value: lists of labels may be long
_CARD = (
    "display:inline-block;box-sizing:border-box;max-width:min(60em,100%);overflow-wrap:anywhere;"
    "padding:.6em .9em;border:1px solid currentColor;border-radius:6px;"
    "color:inherit;background:transparent;font-size:.92em;line-height:1.4"
)
_NAME = "padding:.1em 1.2em .1em 0;text-align:left;vertical-align:top;font-weight:600;min-width:7em;white-space:normal"
_VALUE = "padding:.1em 0;text-align:left;vertical-align:top;overflow-wrap:anywhere"


def html_card(title: str, rows: Mapping[str, object], *, note: str = "") -> str:
    """Write a card: a title, names with values, and a note.

    Parameters
    ----------
    title
        What the object is.
    rows
        What it holds; names and values are escaped, so that labels of users are shown and never act.
    note
        What to do next.

    Returns
    -------
    One HTML element, readable on dark and light pages.
    """
    body = "".join(
        f'<tr style="background:transparent"><th style="{_NAME}">{_shown(name)}</th>'
        f'<td style="{_VALUE}">{_shown(value)}</td></tr>'
        for name, value in rows.items()
    )
    table = f'<table style="border:0;margin:.3em 0;color:inherit">{body}</table>' if body else ""
    end = f'<div style="opacity:.75">{_shown(note)}</div>' if note else ""
    return f'<div style="{_CARD}"><strong>{_shown(title)}</strong>{table}{end}</div>'


def _shown(text: object) -> str:
    line = one_line(text)
    return escape(line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 3] + "...")
