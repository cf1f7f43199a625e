"""Docstrings as the site shows them: examples as blocks of code, short headings in bold.

In the source, an example is an indented `>>>`, and `Shapes: (B, T) -> (B,)` is a line. Used by
mkdocstrings, which knows everything else in them.
"""

from __future__ import annotations

import re

import griffe

HEADING = re.compile(r"^(Shapes|Dtypes|Raises|Returns|Source): (?=\S)")
DRAWN = "├└│"


class Shown(griffe.Extension):
    """Change the text of every docstring when its object has been read."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring:
            obj.docstring.value = shown(obj.docstring.value)


def shown(text: str) -> str:
    """A docstring as Markdown: its blocks between blank lines, one by one."""
    blocks = re.split(r"\n(?:[ ]*\n)+", text.strip("\n"))
    return "\n\n".join([block_shown(block) for block in blocks])


def block_shown(block: str) -> str:
    """One of the blocks between blank lines."""
    if block.lstrip().startswith(">>>"):
        return f"```pycon\n{block}\n```"
    if any(sign in block for sign in DRAWN):
        return f"```text\n{block}\n```"
    lines = []
    for line in block.split("\n"):
        if HEADING.match(line) and lines:
            lines.append("")
        lines.append(HEADING.sub(r"**\1:** ", line))
    return "\n".join(lines)
