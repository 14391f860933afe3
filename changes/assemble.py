"""Assemble the release notes of the files in this folder: ``python changes/assemble.py "## [0.3.0] - 2027-01-31"``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed"}


def assemble(*, heading: str) -> str:
    """Return one section with a list for each kind of change; nothing where there are no changes."""
    parts = []
    for kind, title in KINDS.items():
        files = sorted(HERE.glob(f"*.{kind}.md"))
        if files:
            parts += [f"### {title}", "\n".join(_as_items(file.read_text(encoding="utf-8")) for file in files)]
    return "\n\n".join([heading, *parts]) + "\n" if parts else ""


def _as_items(text: str) -> str:
    """Indent a paragraph as a list item; what is a list stays as it is."""
    text = text.strip()
    return text if text.startswith("- ") else "- " + text.replace("\n", "\n  ").replace("\n  \n", "\n\n")


if __name__ == "__main__":
    sys.stdout.write(assemble(heading=sys.argv[1]))
