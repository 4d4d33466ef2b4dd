"""What the command line says: facts and a table on stdout, progress on stderr."""

from contextlib import contextmanager
from math import floor, log10

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

_LISTED = 8
_HEADING = 10
_SCALED = {
    "standard": "every column to mean 0 and variance 1",
    "minmax": "every column to the range from 0 to 1",
    "robust": "every column by its median and interquartile range",
    "none": "not at all",
}


@contextmanager
def progress(n_init):
    """Show on stderr that a fit goes on; yields a callback that shows how far it is."""
    with Console(stderr=True).status("Clustering") as status:
        begun = 0

        def show(state):
            nonlocal begun
            # The starts run one after the other, each from iteration 1.
            iteration, moved = int(state.n_iter), float(state.changed)
            begun += iteration == 1
            status.update(
                f"Start {begun} of {n_init}, iteration {iteration}: {moved:.1%} of the rows moved"
            )

        yield show


def print_selection(path, source, selection):
    """Say what was read, what is used, and what is left out and why."""
    used, names = len(selection.values), selection.names
    facts = [
        ("Read", f"{path} ({source.note}): {_count(source.rows, 'row')}"),
        ("Used", f"{_count(used, 'row')}, {_count(len(names), 'column')}: {_some(names)}"),
    ]
    if used < source.rows:
        facts.append(("Left out", f"{_count(source.rows - used, 'row')} with a missing value"))
    for reason, columns in _by_reason(selection.left_out).items():
        facts.append(("Left out", f"{_some(columns)}: {reason}"))
    if selection.constant:
        facts.append(("Constant", f"{_some(selection.constant)}: the same in every row"))
    _print_facts(_console(), facts)


def print_clusters(clusters, names, choices):
    """Say how the fit ended, and one line a cluster."""
    console, metric = _console(), choices["metric"]
    how = f"{choices['backend']}, {metric}, {_count(choices['n_init'], 'start')}"
    units = "" if choices["scale"] == "none" else " in scaled units"
    facts = [
        ("Scaled", _SCALED[choices["scale"]]),
        ("Fitted", f"{_count(choices['k'], 'cluster')} ({how}, seed {choices['seed']})"),
        ("Ended", f"after {_count(clusters.n_iter, 'iteration')}. {clusters.status}"),
        ("Inertia", f"{clusters.inertia:.6g}{units}"),
    ]
    _print_facts(console, facts)
    columns = _table_columns(clusters, names)
    shown = _fitting(columns, console.width)
    console.print(_table(metric, columns[:shown]))
    if shown < len(columns):
        console.print(f"{_count(len(columns) - shown, 'more column')} would not fit here.")


def print_files(paths):
    """Say what was written."""
    facts = [("Wrote", str(path)) for path in paths]
    nothing = ("Wrote", "nothing: --out DIR saves labels, centroids and a summary")
    _print_facts(_console(), facts or [nothing])


def _console():
    # A pipe has no width to keep to. Names may hold brackets: no markup.
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 1000
    return console


def _print_facts(console, facts):
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=len("Left out"))
    grid.add_column()
    for label, text in facts:
        grid.add_row(label, text)
    console.print(grid)


def _table_columns(clusters, names):
    """Heading and cells of every column of the table."""
    sizes = clusters.sizes
    return [
        ("cluster", [str(i) for i in range(len(sizes))]),
        ("size", [f"{size:,}" for size in sizes]),
        ("share", [f"{share:.1%}" for share in sizes / sizes.sum()]),
        ("inertia", _aligned(clusters.inertias)),
        *zip(map(_broken, names), map(_aligned, clusters.centroids.T), strict=True),
    ]


def _fitting(columns, width):
    """How many columns fit the width; the first five are shown in any case."""
    taken = 0
    for i, (heading, cells) in enumerate(columns):
        taken += len(" | ") + max(map(len, (*heading.split("\n"), *cells)))
        if taken > width and i >= 5:
            return i
    return len(columns)


def _table(metric, columns):
    units = "directions of length 1" if metric == "cosine" else "the units of the file"
    title = f"\nCentroids in {units}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for heading, _ in columns:
        table.add_column(heading, justify="right", vertical="bottom")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _aligned(column):
    """Numbers of one column with the decimals that give its largest four digits."""
    largest = float(np.max(np.abs(column)))
    if largest and not 1e-3 <= largest < 1e9:
        return [f"{value:.3e}" for value in column]
    decimals = max(0, 3 - floor(log10(largest))) if largest else 0
    return [f"{value:,.{decimals}f}" for value in column]


def _broken(name):
    """A long name over several lines, broken behind its underscores."""
    lines = [""]
    for part in name.replace("_", "_\n").splitlines():
        if lines[-1] and len(lines[-1]) + len(part) >= _HEADING:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _by_reason(left_out):
    reasons: dict[str, list] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _count(number, noun):
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _some(names):
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
