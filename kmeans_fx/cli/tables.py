"""Text and Parquet tables, through pyarrow: types are inferred over the whole file."""

import codecs
import csv
import re

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from kmeans_fx.cli.errors import BadInputError

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE = 1 << 16
# Why a column without any value is left out.
NO_VALUES = "no values"


def read_text(path):
    """Read a table whose encoding, separator and header are told from its first lines.

    Returns
    -------
    table : pyarrow.Table
    note : str
    """
    head, encoding = _sample(path)
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        msg = f"{path} is empty"
        raise BadInputError(msg)
    separator = _separator(lines)
    names = next(csv.reader(lines, delimiter=separator))
    bare = all(_is_number(name) for name in names)
    comma = separator != "," and re.search(r"\d,\d", head) and not re.search(r"\d\.\d", head)
    table = _parse(path, encoding, separator, "," if comma else ".", len(names) if bare else 0)
    note = f"text, separator {_SEPARATORS[separator]}"
    note += ", decimal comma" if comma else ""
    note += ", no header: columns are called x0, x1, ..." if bare else ""
    return table, note


def read_parquet(path):
    """Read a Parquet table; the index that pandas stored in it is no column of the user's.

    Returns
    -------
    table : pyarrow.Table
    hidden : dict of str to str
    """
    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} is not a readable Parquet file: {error}"
        raise BadInputError(msg) from None
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    index = [name for name in stored if isinstance(name, str)]
    return table.drop_columns(index), dict.fromkeys(index, "the index of a pandas frame")


def numeric_columns(table, path):
    """Split a table into its columns of numbers and the reasons against the others.

    Returns
    -------
    columns : dict of str to array
    left_out : dict of str to str
    """
    names = [name.strip() for name in table.column_names]
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        msg = f"{path} has two columns called {twice[0]!r}"
        raise BadInputError(msg)
    columns, left_out = {}, {}
    for name, column in zip(names, table.columns, strict=True):
        reason = _objection(name, column)
        if reason:
            left_out[name or "(unnamed)"] = reason
        else:
            columns[name] = column.cast(pa.float64(), safe=False).to_numpy()
    return columns, left_out


def _sample(path):
    """The first whole lines of a file, and its encoding."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", errors="ignore"), "utf-16"
    if b"\0" in head:
        msg = f"{path} is not a text file"
        raise BadInputError(msg)
    if len(head) == _SAMPLE:
        head = head[: head.rfind(b"\n") + 1] or head
    try:
        return head.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return head.decode("latin-1"), "latin-1"


def _separator(lines):
    """The separator with which the most lines have as many fields as the first."""

    def score(separator):
        widths = [len(row) for row in csv.reader(lines[:100], delimiter=separator)]
        return (widths.count(widths[0]), widths[0]) if widths[0] > 1 else (0, 0)

    return max(_SEPARATORS, key=score)


def _parse(path, encoding, separator, decimal_point, bare_columns):
    ragged = []

    def refuse(row):
        ragged.append(row)
        return "error"

    try:
        return arrow_csv.read_csv(
            path,
            # Threads would lose the number of a ragged row.
            arrow_csv.ReadOptions(
                use_threads=False,
                encoding=encoding,
                column_names=[f"x{i}" for i in range(bare_columns)],
            ),
            arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            arrow_csv.ConvertOptions(decimal_point=decimal_point),
        )
    except (pa.ArrowException, UnicodeError) as error:
        msg = f"{path} cannot be read as a table: {error}"
        if ragged:
            number = ragged[0].number - (not bare_columns)
            msg = (
                f"{path} is ragged: row {number} has {ragged[0].actual_columns} fields, "
                f"the first line has {ragged[0].expected_columns}"
            )
        raise BadInputError(msg) from None


def _objection(name, column):
    """Why a column cannot be used, or None."""
    if not name:
        return "no name in the header"
    if column.null_count == len(column) > 0:
        return NO_VALUES
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _not_a_number(column)
    numeric = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )
    return None if numeric else f"not numeric ({kind})"


def _not_a_number(column):
    for row, value in enumerate(column, start=1):
        if value.is_valid and not _is_number(value.as_py()):
            return f"not numeric ({value.as_py()!r} in row {row})"
    return "not numeric (text)"


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return not np.isnan(float(text))
