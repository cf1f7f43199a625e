"""`make size`: lines by room, median and longest file and function, circles. Nothing is judged."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.graph import FLOOR, by_floor, circles, climbs, files, graph, room


def functions(path: Path):
    """`(lines, name)` of every function, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            head = node.body[0].lineno - node.lineno
            end = node.end_lineno or node.lineno
            yield end - first.lineno + 1 + head, f"{path.stem}.{node.name}"


def row(name: str, values: list[tuple[int, str]]) -> str:
    lengths = sorted(length for length, _ in values)
    high = lengths[int(0.9 * (len(lengths) - 1))]
    longest = ", ".join(f"{n} {length}" for length, n in sorted(values, reverse=True)[:5])
    return f"{name:<9} {statistics.median(lengths):>6.0f} median {high:>5} at 90 %   {longest}"


def main() -> None:
    paths = files()
    lines = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in paths.items()}
    rooms: dict[str, list[int]] = {}
    for module, count in lines.items():
        rooms.setdefault(room(module), []).append(count)
    print("lines by room")
    for name in sorted(rooms, key=lambda n: (FLOOR.get(n, 99), n)):
        count, total = len(rooms[name]), sum(rooms[name])
        print(f"  {FLOOR.get(name, '?'):>2}  {name:<11} {count:>3} files {total:>7}")
    print(f"      {'in all':<11} {len(paths):>3} files {sum(lines.values()):>7}")
    mechanism = sum(sum(rooms.get(name, ())) for name in ("ir", "ad"))
    print(f"      the AD mechanism (ir and ad): {mechanism}\n")
    print(row("files", [(count, module) for module, count in lines.items() if count]))
    print(row("functions", [f for path in paths.values() for f in functions(path)]))
    print("\nimports by floor\n" + by_floor())
    rings = circles(graph())
    print("\ncircles: " + ("; ".join(" ".join(ring) for ring in rings) or "none"))
    print("imports from a floor above: " + ("; ".join(climbs()) or "none"))


if __name__ == "__main__":
    main()
