"""Numbers, names and facts as words."""

from math import floor, log10

import numpy as np

_LISTED = 8
_HEADING = 10
# From which share of lost rows on the other way is worth a word.
_MANY_LOST = 0.1
SCALED = {
    "standard": "every column to mean 0 and variance 1",
    "minmax": "every column to the range from 0 to 1",
    "robust": "every column by its median and interquartile range",
    "none": "not at all",
}


def gaps(source, selection, missing):
    """Facts about missing values: the rows that they cost, or how they were filled."""
    lost, total = source.rows - len(selection.values), source.rows
    if missing != "drop":
        filled = int(np.isnan(selection.values).sum())
        share = f"{filled / selection.values.size:.1%}"
        note = f"{count(filled, 'missing value')} ({share}) with the {missing} of the column"
        rows = [("Left out", f"{count(lost, 'row')} without any value")]
        return [("Filled", note)] * bool(filled) + rows * bool(lost)
    facts = [("Left out", f"{count(lost, 'row')} with a missing value")] * bool(lost)
    if lost > _MANY_LOST * total:
        hint = f"that is {lost / total:.0%} of the rows: --missing median would fill the gaps"
        facts.append(("Hint", hint))
    return facts


def aligned(column):
    """Numbers of one column with the decimals that give its largest four digits."""
    finite = np.abs(column[np.isfinite(column)])
    largest = float(np.max(finite, initial=0.0))
    if largest and not 1e-3 <= largest < 1e9:
        form = "{:.3e}"
    else:
        form = f"{{:,.{max(0, 3 - floor(log10(largest))) if largest else 0}f}}"
    return ["-" if np.isnan(value) else form.format(value) for value in column]


def broken(name):
    """A long name over several lines, broken behind its underscores."""
    lines = [""]
    for part in name.replace("_", "_\n").splitlines():
        if lines[-1] and len(lines[-1]) + len(part) >= _HEADING:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def count(number, noun):
    """A number and its noun, in the plural where that is due."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some(names):
    """The first names of a list, and how many more there are."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
