"""Which file of src/flux imports which, read from the syntax trees; rooms, floors and circles."""

from __future__ import annotations

import ast
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
FLOORS = (
    ("errors", "tree", "ir"),
    ("ad",),
    ("rules",),
    ("compiler", "transforms"),
    ("functional", "init", "random", "devices", "schedules"),
    ("layers", "losses", "metrics", "models", "optim", "data", "io"),
    ("train",),
    ("diffeq", "encrypted", "distributed", "backends"),
    ("face",),
    ("zoo",),
    ("cli", "__main__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def files() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """The room of a module: `flux.ad.api` lies in `ad`."""
    return module.split(".")[1] if "." in module else "face"


def imports(module: str, modules: dict[str, Path], *, inside: bool) -> set[str]:
    """The modules that `module` imports when it is loaded; `inside`: within functions, too."""
    tree = ast.parse(modules[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in _statements(tree, inside):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return {name for name in found if name in modules and name != module}


def _statements(node: ast.AST, inside: bool):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not inside:
            continue
        yield child
        yield from _statements(child, inside)


def graph(*, inside: bool = False) -> dict[str, set[str]]:
    """All imports between the modules of the package."""
    modules = files()
    return {module: imports(module, modules, inside=inside) for module in modules}


def room_graph() -> dict[str, set[str]]:
    """All imports between rooms, those within functions included."""
    found: dict[str, set[str]] = {}
    for module, others in graph(inside=True).items():
        found.setdefault(room(module), set()).update(room(other) for other in others)
    return {name: others - {name} for name, others in found.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that import each other, directly or around corners."""
    reach = {node: _reachable(node, edges) for node in edges}
    groups = {
        frozenset(n for n in reach if node in reach[n] and n in reach[node])
        for node in reach
        if node in reach[node]
    }
    return sorted(sorted(group) for group in groups)


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += edges.get(node, ())
    return seen


def climbs() -> list[str]:
    """Imports of a room from a floor above its own, in words; and rooms that no floor lists."""
    found = []
    for name, others in sorted(room_graph().items()):
        if name not in FLOOR:
            found.append(f"{name} is a room without a floor")
            continue
        above = sorted(o for o in others if FLOOR.get(o, 0) > FLOOR[name])
        found += [f"{name} (floor {FLOOR[name]}) imports {o} (floor {FLOOR[o]})" for o in above]
    return found


def by_floor() -> str:
    """The rooms from the top floor to the ground, each with the rooms that it imports."""
    edges, lines = room_graph(), []
    for number, rooms in reversed(list(enumerate(FLOORS))):
        for name in rooms:
            if name in edges:
                lines.append(f"{number:2}  {name:<11} {' '.join(sorted(edges[name])) or '-'}")
    return "\n".join(lines)
