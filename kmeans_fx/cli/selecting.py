"""Which columns and rows of a source are clustered."""

import csv
from typing import NamedTuple

import numpy as np

from kmeans_fx.cli.errors import BadInputError


class Selection(NamedTuple):
    """The numbers to cluster, and what was left out of them.

    Attributes
    ----------
    names : list of str
    values : array (n, d)
        Rows without a missing value; NaN in the gaps that are to be filled.
    used : bool array (rows,)
        Which rows of the source these are.
    left_out : dict of str to str
        The other columns, and why.
    constant : list of str
        Columns with the same value in every row.
    """

    names: list
    values: np.ndarray
    used: np.ndarray
    left_out: dict
    constant: list


def select(source, columns, drop, path, *, fill=False):
    """Take the columns asked for, or all that are numeric, and the rows that can be used.

    Without ``fill`` these are the rows without a missing value, with it all that have a value.
    """
    wanted, unwanted = _names(columns), _names(drop)
    for option, names in (("--columns", wanted), ("--drop", unwanted)):
        _check_known(source, option, names, path)
    left_out = {**source.left_out, **dict.fromkeys(unwanted, "by --drop")}
    for name in wanted:
        if name in left_out:
            msg = f"--columns: {name!r} cannot be used: {left_out[name]}"
            raise BadInputError(msg)
    names = wanted or [name for name in source.columns if name not in left_out]
    if not names:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        msg = f"{path} has no column to use ({why})"
        raise BadInputError(msg)
    left_out |= {
        name: "not in --columns" for name in source.columns if name not in {*names, *left_out}
    }
    values, used = _usable_rows(source, names, path, fill)
    constant = [name for name, column in zip(names, values.T, strict=True) if _is_constant(column)]
    if len(constant) == len(names):
        msg = f"{path} has the same numbers in every row of {', '.join(names)}"
        raise BadInputError(msg)
    return Selection(names, values, used, left_out, constant)


def _names(text):
    """Names of an option: separated by commas, in quotes if they hold one."""
    fields = next(csv.reader([text], skipinitialspace=True)) if text else []
    return list(dict.fromkeys(field.strip() for field in fields))


def _check_known(source, option, names, path):
    known = [*source.columns, *source.left_out]
    for name in names:
        if name not in known:
            msg = f"{option}: {path} has no column {name!r}; it has {', '.join(known)}"
            raise BadInputError(msg)


def _usable_rows(source, names, path, fill):
    values = np.column_stack([source.columns[name] for name in names])
    missing = np.isnan(values)
    used = ~missing.all(axis=1) if fill else ~missing.any(axis=1)
    if used.sum() < 2:
        raise BadInputError(_too_few(source, names, path, missing, fill, int(used.sum())))
    _check_finite(values, names, path)
    return values if used.all() else values[used], used


def _too_few(source, names, path, missing, fill, count):
    if source.rows == 1:
        return f"{path} has one row; at least two are needed"
    if fill:
        return f"{path} has {count} of {source.rows} rows with a value; at least two are needed"
    most = int(np.argmax(missing.sum(axis=0)))
    lacking = f"{names[most]} lacks {missing[:, most].sum()}"
    can_fill = (~missing.all(axis=1)).sum() > 1
    return (
        f"{path} has {count} of {source.rows} rows without a missing value ({lacking}); "
        f"at least two are needed{'; --missing median would fill the gaps' if can_fill else ''}"
    )


def _check_finite(values, names, path):
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        msg = f"{path} has an infinite value in row {row + 1} of {names[column]}"
        raise BadInputError(msg)


def _is_constant(column):
    known = column[~np.isnan(column)]
    return bool(np.all(known == known[:1]))
