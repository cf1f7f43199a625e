"""Tables of numbers and categories, from CSV files."""

from __future__ import annotations

import csv as lines
import io
import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from flux.data.text import read_text
from flux.errors import DataFileError

__all__ = ["Table", "csv"]

ABSENT = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")


class Table(NamedTuple):
    """What `csv` returns.

    Attributes:
        features: ``(N, F)``, float32: a number is one column, a category one for each of its
            values, which is 1 where it is that value.
        target: ``(N,)``: float32 of numbers, int32 of categories; `None` if there is no target.
        names: of the columns of `features`; `colour=red` for a value of a category.
        classes: the categories of the target in the order of its integers; `None` of numbers.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "pets.csv")
    >>> _ = path.write_text("weight,kind\\n4,cat\\n30,dog\\n")
    >>> table = csv(path, target="kind")
    >>> table.features.tolist(), table.target.tolist(), table.names, table.classes
    ([[4.0], [30.0]], [0, 1], ['weight'], ['cat', 'dog'])
    """

    features: np.ndarray
    target: np.ndarray | None
    names: list[str]
    classes: list[str] | None


class Column(NamedTuple):
    """A column: its name, its cells, the line of each, and what a message says of the file."""

    name: str
    cells: list[str]
    lines: list[int]
    path: str


def csv(
    path: str | os.PathLike,
    target: str | int | None = None,
    *,
    categories: Iterable[str | int] = (),
    header: bool = True,
    missing: str = "refuse",
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Table:
    """The rows of a CSV file as arrays.

    A column of which all cells are numbers is one of numbers; one of which none is, of categories,
    whose values are sorted. Lines without anything are left out.

    Args:
        path: the file.
        target: the column to be predicted, by its name or its place.
        categories: further columns, by name or place, whose numbers only tell kinds apart.
        header: whether the first line names the columns; otherwise their names are "0", "1", ….
        missing: `"refuse"` cells that are empty, `NA`, `N/A`, `NaN`, `null` or `?`, or take them as
            `"nan"`: NaN of a number, zeros in all columns of a category. Never in the target.
        delimiter: what stands between cells.
        encoding: of the file.

    Returns: a `Table`: features, target, names, classes.
    Raises: ``DataFileError`` naming the file, line and column.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "fruit.csv")
    ...     _ = path.write_text("weight,colour,fruit\\n150,red,apple\\n120,yellow,banana\\n")
    ...     features, target, names, classes = csv(path, target="fruit")
    >>> names, classes
    (['weight', 'colour=red', 'colour=yellow'], ['apple', 'banana'])
    >>> features, target
    (array([[150.,   1.,   0.], [120.,   0.,   1.]], dtype=float32), array([0, 1], dtype=int32))
    """
    if missing not in ("refuse", "nan"):
        raise ValueError(f'missing must be "refuse" or "nan", got {missing!r}.')
    columns = _columns(path, read_text(path, encoding), header, delimiter)
    names = [column.name for column in columns]
    goal = None if target is None else _find(path, names, target)
    kinds = {_find(path, names, name) for name in categories}
    features, labels = [], []
    for i, column in enumerate(columns):
        if i != goal:
            block, named = _feature(column, i in kinds, missing)
            features.append(block)
            labels.extend(named)
    matrix = np.concatenate(features, 1) if features else np.zeros((len(columns[0].cells), 0))
    found, classes = (None, None) if goal is None else _target(columns[goal], goal in kinds)
    return Table(matrix.astype(np.float32), found, labels, classes)


def _columns(path, written: str, header: bool, delimiter: str) -> list[Column]:
    rows, numbers = [], []
    reader = lines.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                numbers.append(reader.line_num)
    except lines.Error as problem:
        raise DataFileError(f"{path} line {reader.line_num}: {problem}.") from None
    if len(rows) < 1 + header:
        raise DataFileError(f"{path} holds no row{' below its header' * header}.")
    names = rows[0] if header else [str(i) for i in range(len(rows[0]))]
    _check_shape(path, names, rows, numbers)
    if header:
        _check_names(path, names)
        rows, numbers = rows[1:], numbers[1:]
    cells = zip(*rows, strict=True)
    return [Column(n, list(c), numbers, str(path)) for n, c in zip(names, cells, strict=True)]


def _check_shape(path, names: list[str], rows: list[list[str]], numbers: list[int]) -> None:
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != len(names):
            raise DataFileError(
                f"{path} line {number}: expected {len(names)} cells, and got {len(row)}.",
                hint="A cell that holds the delimiter stands in double quotes.",
            )


def _check_names(path, names: list[str]) -> None:
    if all(_is_number(name) for name in names):
        raise DataFileError(
            f"{path} line 1: expected the names of columns, and got numbers only.",
            hint="Pass header=False for a file without names.",
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataFileError(f"{path} line 1: two columns have the name {twice[0]!r}.")


def _find(path, names: list[str], wanted: str | int) -> int:
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    if isinstance(wanted, int) and -len(names) <= wanted < len(names):
        return wanted % len(names)
    raise DataFileError(
        f"{path} has no column {wanted!r}; its columns are {', '.join(map(repr, names))}."
    )


def _feature(column: Column, kind: bool, missing: str) -> tuple[np.ndarray, list[str]]:
    """The columns of the matrix that a column of the file becomes, and their names."""
    if missing == "refuse":
        _refuse_missing(column)
    present = [cell for cell in column.cells if cell not in ABSENT]
    if not present:
        raise DataFileError(f"{column.path}: column {column.name!r} holds nothing.")
    if not kind and _holds_numbers(column):
        return _numbers(column)[:, None], [column.name]
    values = sorted(set(present))
    index = {value: i for i, value in enumerate(values)}
    block = np.zeros((len(column.cells), len(values)), np.float32)
    for row, cell in enumerate(column.cells):
        if cell in index:
            block[row, index[cell]] = 1
    return block, [f"{column.name}={value}" for value in values]


def _target(column: Column, kind: bool) -> tuple[np.ndarray, list[str] | None]:
    _refuse_missing(column)
    if not kind and _holds_numbers(column):
        return _numbers(column), None
    values, codes = np.unique(column.cells, return_inverse=True)
    return codes.astype(np.int32), values.tolist()


def _refuse_missing(column: Column) -> None:
    missing = [n for n, cell in zip(column.lines, column.cells, strict=True) if cell in ABSENT]
    if missing:
        more = f", and {len(missing) - 1} more in this column" if len(missing) > 1 else ""
        raise DataFileError(
            f"{column.path} line {missing[0]}: a value of column {column.name!r} is missing{more}.",
            hint='missing="nan" takes missing features as NaN; a target must be there.',
        )


def _holds_numbers(column: Column) -> bool:
    """Are all of its cells numbers, or none? Refuses what is mixed."""
    cells = zip(column.lines, column.cells, strict=True)
    present = [(line, cell, _is_number(cell)) for line, cell in cells if cell not in ABSENT]
    numbers = sum(number for _, _, number in present)
    if 0 < numbers < len(present):
        rarer = numbers <= len(present) / 2
        line, cell, _ = next(entry for entry in present if entry[2] == rarer)
        raise DataFileError(
            f"{column.path} line {line}: of column {column.name!r}, {numbers} of {len(present)} "
            f"cells are numbers, and {cell!r} is {'one' if rarer else 'none'}.",
            hint=f"Correct the cell, or pass categories=[{column.name!r}].",
        )
    return numbers > 0


def _numbers(column: Column) -> np.ndarray:
    cells = [np.nan if cell in ABSENT else float(cell) for cell in column.cells]
    return np.array(cells, np.float32)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell not in ABSENT
