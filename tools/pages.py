"""What `make docs` adds to the pages in docs/: the repository's own pages, the reference, pictures.

MkDocs calls the functions `on_...`. The first page is the README, so that nothing is told twice.
The reference has a page for each room with public names. Pictures are made by the page that shows
them: its examples are run, and what they wrote into a folder of their own is taken.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import re
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import flux

ROOT = Path(__file__).parents[1]
OWN = {  # files outside docs/ that are pages of the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/RESULTS.md": "results.md",
    "src/flux/data/embedded/README.md": "embedded-data.md",
}
PICTURE = re.compile(r"!\[[^\]]*\]\(pictures/([\w-]+\.(?:svg|png))\)")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def on_config(config: MkDocsConfig) -> None:
    """The reference stands at the end of the navigation, a page a room."""
    assert config.nav is not None
    config.nav.append({"Reference": [{room: page(room)} for room in rooms()]})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pages, those of the reference, and the pictures."""
    for source, name in OWN.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text.replace("](docs/", "](")))
    for room in rooms():
        files.append(File.generated(config, page(room), content=reference(room)))
    for source in sorted((ROOT / "docs").glob("*.md")):
        for name, content in pictures(source).items():
            files.append(File.generated(config, f"pictures/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    """Links to the repository's own pages become links to their place in the site."""
    for source, name in OWN.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}", f"]({name}", markdown)
    return markdown


def rooms() -> list[str]:
    """The modules with public names, in the order of the face."""
    return list(dict.fromkeys([*flux.ROOMS, *flux.SUBJECTS.values()]))


def page(room: str) -> str:
    return f"reference/{room.removeprefix('flux.')}.md"


def reference(room: str) -> str:
    """The page of a room: its own docstring, and those of its names."""
    module = importlib.import_module(room)
    parts = [f"# {room}", f"::: {room}\n    options: {{members: false, show_root_heading: false}}"]
    return "\n\n".join([*parts, *[f"::: {place(module, name)}" for name in module.__all__]])


def place(module, name: str) -> str:
    """Where mkdocstrings finds it: by its file, if that has the name of what is in it."""
    thing = getattr(module, name)
    beside = Path(module.__path__[0], f"{name}.py").exists() if hasattr(module, "__path__") else 0
    return f"{thing.__module__ if beside else module.__name__}.{name}"


def pictures(source: Path) -> dict[str, bytes]:
    """Run a page that shows pictures; the pictures by their names.

    Raises: `PluginError` if an example fails, or makes no such picture.
    """
    names = PICTURE.findall(source.read_text(encoding="utf-8"))
    if not names:
        return {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        failed, _ = doctest.testfile(str(source), module_relative=False, optionflags=FLAGS)
        missing = [name for name in names if not Path(name).exists()]
        if failed or missing:
            raise PluginError(f"{source.name}: {failed} examples fail; not made: {missing}")
        return {name: Path(name).read_bytes() for name in names}
