"""The pages of the documentation: what they name is there. Their examples are run as doctests."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import flux

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NAME = re.compile(r"\bflux((?:\.[A-Za-z_]\w*)+)")
CODE = re.compile(r"`([^`]+)`")
CALL = re.compile(r"\bflux((?:\.[A-Za-z_]\w*)+)\(")


def cells():
    """The right column of every table of the page for those who come from elsewhere."""
    for line in (DOCS / "coming-from.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "---" not in line:
            yield line.strip("| ").rpartition(" | ")[2]


def names(text):
    return [name for code in CODE.findall(text) for name in NAME.findall(code)]


def find(dotted):
    thing = flux
    for part in dotted.strip(".").split("."):
        thing = getattr(thing, part)
    return thing


def test_every_name_for_those_who_come_from_elsewhere_is_there():
    found = [name for cell in cells() for name in names(cell)]
    assert len(found) > 100
    for name in found:
        assert find(name) is not None, name


def arguments():
    """The calls in these tables whose arguments are written out in numbers and words."""
    for cell in cells():
        for code in CODE.findall(cell):
            if CALL.match(code) and "..." not in code:
                yield code


@pytest.mark.parametrize("code", sorted(set(arguments())))
def test_every_call_there_is_python_with_the_keywords_that_there_are(code):
    for node in ast.walk(ast.parse(code, mode="eval")):
        called = NAME.fullmatch(ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if called:
            function = find(called[1])
            keywords = {word.arg: None for word in node.keywords}
            inspect.signature(function).bind(*node.args, **keywords)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_names_only_what_is_there(page):
    for name in names(page.read_text(encoding="utf-8")):
        assert find(name) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_in_the_navigation(page):
    assert f"{page.name}\n" in (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
