"""Names in Markdown: shown letter by letter, never read as markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scdiffuse._core.text import one_line
from scdiffuse.generator import CellGenerator
from scdiffuse.model import write_card
from scdiffuse.model._markdown import as_markdown

PAGE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKUP = st.text(st.sampled_from("\\`*_[](){}<>#+-.!|~$@:/ =&;\n\t1a\"'x"))
HOSTILE = (
    "<script>alert(1)</script>", "[T](javascript:alert(1))", "![x](https://host/x.png)", "# heading", "12. one",
    "a\n\n# heading", "https://host/", "www.host.org", "`code`", "$x$", "a | b", "***", "- item", "&lt;", "<!-- x",
)  # fmt: skip
SHOWN_AS_TEXT = {"text", "text_special", "softbreak"}


def inline(text: str) -> list[Token]:
    """Read a text as Markdown: nothing but one paragraph, and what is in it."""
    blocks = PAGE.parse(text)
    assert [block.type for block in blocks] == ["paragraph_open", "inline", "paragraph_close"]
    return blocks[1].children or []


@pytest.mark.parametrize("name", HOSTILE)
def test_markup_in_a_name_is_shown_as_it_is(name: str) -> None:
    parts = inline(as_markdown(name))
    assert {part.type for part in parts} <= SHOWN_AS_TEXT
    assert "".join(part.content for part in parts) == one_line(name)


@given(MARKUP)
def test_any_name_is_one_paragraph_of_its_own_letters(name: str) -> None:
    parts = inline("x " + as_markdown(name)) + (inline(as_markdown(name)) if name.strip(" ") else [])
    assert {part.type for part in parts} <= SHOWN_AS_TEXT


@pytest.mark.parametrize("name", ["cell_type: CD14+ Monocyte (1,024)", "T-helper/17", "Fitted to 3 cells, seed 0."])
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert as_markdown(name) == name


def test_the_card_holds_no_markup_of_labels(fitted: CellGenerator) -> None:
    assert fitted._model is not None
    record = fitted._record(fitted._model)
    plain = [token.type for token in PAGE.parse(write_card(record))]
    record["data"] = {**record["data"], "labels": {"<b>kind</b>": dict.fromkeys(HOSTILE, 2)}}
    record["origin"] = {"organism": HOSTILE[0], "source": HOSTILE[1], "licence": HOSTILE[3]}
    verdict = dict.fromkeys(("title", "answer", "text"), HOSTILE[0])
    record["scores"] = {
        "metrics": {},
        "overall": verdict,
        "verdicts": {HOSTILE[0]: verdict},
        "settings": {"data": "<b>"},
    }
    card = write_card(record)
    assert "<script>" not in card
    blocks = PAGE.parse(card)
    assert [token.type for token in blocks].count("heading_open") == plain.count("heading_open")
    inside = {part.type for token in blocks for part in token.children or ()}
    assert not inside & {"html_inline", "link_open", "image"}
    folds = {token.content.split("\n")[0] for token in blocks if token.type == "html_block"}
    assert all(re.fullmatch(r"</?details>(<summary>[\w ]+</summary>)?", fold) for fold in folds)
