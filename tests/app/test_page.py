"""What the page is made of: small plain files that run nothing but themselves and ask no one but the server."""

from __future__ import annotations

import re
from pathlib import Path

import scdiffuse.app

STATIC = Path(scdiffuse.app.__file__).parent / "static"
TEXTS = {path.relative_to(STATIC).as_posix(): path.read_text() for path in STATIC.rglob("*") if path.is_file()}
MODULES = {name: text for name, text in TEXTS.items() if name.endswith(".js")}


def test_the_code_stays_small() -> None:
    lines = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    assert sum(lines.values()) < 3000
    assert max(lines.values()) < 350
    assert [name for name, text in MODULES.items() if any(len(line) > 170 for line in text.splitlines())] == []


def test_every_address_is_relative() -> None:
    elsewhere = re.compile(r"""["'`(](?:https?:)?//(?!www\.w3\.org/)|["'`](?:/api|/js|/static)""")
    assert {name: found for name, text in TEXTS.items() if (found := elsewhere.findall(text))} == {}
    links = re.findall(r'(?:href|src)="([^"#]+)"', TEXTS["index.html"])
    assert sorted(set(links)) == ["app.css", "base.css", "icon.svg", "js/main.js"]
    assert set(links) <= TEXTS.keys()


def test_text_is_never_markup_and_no_code_is_made_from_text() -> None:
    makers = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.srcdoc")
    assert {name: found for name, text in MODULES.items() if (found := makers.findall(text))} == {}
    assert re.findall(r"<script>|<style|\son\w+=|\sstyle=", TEXTS["index.html"]) == []


def test_modules_import_what_is_there_and_needed() -> None:
    for name, text in MODULES.items():
        body = re.sub(r"(?m)^import .*$", "", text)
        for names, source in re.findall(r'import \{([^}]*)\} from "\./([\w.]+)"', text):
            exported = re.findall(r"export (?:async )?(?:const|function|class) ([\w$]+)", MODULES[f"js/{source}"])
            for one in (each.strip() for each in names.split(",")):
                assert one in exported, f"{name} imports {one} from {source}"
                assert re.search(rf"(?<![\w$]){re.escape(one)}(?![\w$])", body), f"{name} does not need {one}"
