"""Names of users in Markdown: shown as they are, never read as markup."""

from __future__ import annotations

import html
import re

from scdiffuse._core.text import one_line

__all__ = ["as_markdown"]

_MARKUP = re.compile(
    r"[\\`*\[\]|~$@]"  # code, emphasis, links, cells of a table, formulas, names of people
    r"|(?<!\w)_|_(?!\w)"  # emphasis; within a word an underscore is none
    r"|^[-+#=]|(?<!\w)!"  # lists, headings and rules begin a line; a picture begins with a mark
    r"|:(?=//)|(?<=www)\."  # addresses that become links by themselves
)
_NUMBERED = re.compile(r"^(\d+)([.)])")


def as_markdown(text: object) -> str:
    r"""Write one line of plain text so that Markdown shows it letter by letter.

    Parameters
    ----------
    text
        A label, the name of a column, or a line that holds such.

    Returns
    -------
    The line with markup escaped, HTML included.

    Examples
    --------
    >>> print(as_markdown("cell_type: [T](javascript:x), <b>B</b>"))
    cell_type: \[T\](javascript:x), &lt;b&gt;B&lt;/b&gt;
    """
    line = _MARKUP.sub(r"\\\g<0>", one_line(text).strip())
    return html.escape(_NUMBERED.sub(r"\1\\\2", line), quote=False)
