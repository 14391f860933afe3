"""Names of users in text for terminals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdiffuse._core.text import one_line, printable


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
