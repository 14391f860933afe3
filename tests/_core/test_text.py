"""Names of users in text for terminals."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from scdiffuse._core.text import figure_label, one_line, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("T cell", "T cell"),
        ("Zelltyp \u03b2", "Zelltyp \u03b2"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31mred", "\\x9b31mred"),
        ("two\nlines", "two\\nlines"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_name_is_shown_and_not_obeyed(name: str, shown: str) -> None:
    assert one_line(name) == shown


@given(st.text(st.characters()))
def test_no_control_character_is_left(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in shown)
    assert printable(text).replace("\n", "\\n").replace("\t", "\\t") == shown


@pytest.mark.parametrize(
    "name", ["$\\frac{1}{$", "$x$", "a$b", "\\$x\\$", "_first", "x" * 500, "", "\x00\x1b", "$" * 9]
)
def test_a_label_is_drawn_whatever_it_holds(name: str) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([0, 1], label=figure_label(name))
    drawn = axes.get_legend_handles_labels()[1]
    assert len(drawn) == bool(name)
    axes.set_yticks([0], [figure_label(name)])
    figure.savefig(io.BytesIO(), format="svg")


def test_dollar_signs_of_a_label_are_drawn_as_they_are() -> None:
    shown = Text(text=figure_label("$x$"))
    assert shown._preprocess_math(shown.get_text()) == ("$x$", False)  # type: ignore[attr-defined]
