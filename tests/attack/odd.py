"""Odd values of every kind, as hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["BYTES", "INTEGERS", "JSON", "NAMES", "NUMBERS", "WORDS"]

HOSTILE = (
    "", " ", "a=b", "/abs", "../up", "a/b", "a.b", "-x", "--help", "nan", "inf", "None", "n", "source", "unseen",
    "unknown", "<script>alert(1)</script>", "[x](javascript:y)", "# heading", "$\\frac{1}{$", "\x1b[31mred\x1b[0m",
    "\x9b31m", "two\nlines", "\u202eback", "\ud800", "x" * 300, "caf\u00e9", "cafe\u0301", "\U0001f9ec", "[/red]",
    "{0}", "%s", "'", '"', "\\", "a,b", "a:b", "=", ":", "1e3", "0", "1.0", "True",
)  # fmt: skip
"""Names that some part of a program may take for something else."""

NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_characters="\x00"), max_size=12)
WORDS = NAMES.filter(lambda word: word.isprintable() or "\ud800" not in word)
NUMBERS = st.sampled_from(
    [
        "nan",
        "inf",
        "-inf",
        "1e300",
        "-1e300",
        "1e-300",
        "0",
        "-0.0",
        "-1",
        "0.5",
        "1",
        "2.5",
        "1e9",
        "x",
        "",
        "1,2",
        "0x1",
    ]
)
INTEGERS = st.sampled_from(
    [
        "-1",
        "0",
        "1",
        "2",
        "3",
        str(-(2**63)),
        str(2**31),
        str(2**63),
        str(2**64),
        str(10**30),
        "1.5",
        "nan",
        "x",
        "",
        "1e3",
    ]
)
BYTES = st.binary(min_size=1, max_size=64)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 7, 10**6, 2**31, 2**63, 10**30, -0.5, 0.5, 1.5, 1e300, float("nan"), float("inf")]),
    NAMES,
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=4
)
"""Whatever JSON can hold, and the numbers that it should not."""
