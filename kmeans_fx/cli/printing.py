"""What the command line says: facts and tables."""

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from kmeans_fx.cli.judging import structure, trust_words
from kmeans_fx.cli.sweeping import says, score_rows
from kmeans_fx.cli.words import SCALED, aligned, broken, count, gaps, some


def print_selection(path, source, selection, missing):
    """Say what was read, what is used, and what is left out and why."""
    used, names = len(selection.values), selection.names
    facts = [
        ("Read", f"{path} ({source.note}): {count(source.rows, 'row')}"),
        ("Used", f"{count(used, 'row')}, {count(len(names), 'column')}: {some(names)}"),
        *gaps(source, selection, missing),
    ]
    for reason, columns in _by_reason(selection.left_out).items():
        facts.append(("Left out", f"{some(columns)}: {reason}"))
    if selection.constant:
        facts.append(("Constant", f"{some(selection.constant)}: the same in every row"))
    print_facts(facts)


def print_clusters(clusters, names, options):
    """Say how the fit ended, and one line a cluster."""
    metric, k = options["metric"], len(clusters.sizes)
    how = f"{options['backend']}, {metric}, {count(options['n_init'], 'start')}"
    units = "" if options["scale"] == "none" else " in scaled units"
    facts = [
        ("Scaled", SCALED[options["scale"]]),
        ("Fitted", f"{count(k, 'cluster')} ({how}, seed {options['seed']})"),
        ("Ended", f"after {count(clusters.n_iter, 'iteration')}. {clusters.status}"),
        ("Inertia", f"{clusters.inertia:.6g}{units}"),
    ]
    print_facts(facts)
    console = _console()
    columns = _table_columns(clusters, names)
    shown = _fitting(columns, console.width)
    units = "directions of length 1" if metric == "cosine" else "the units of the file"
    console.print(_table(f"\nCentroids in {units}", columns[:shown]))
    if shown < len(columns):
        console.print(f"{count(len(columns) - shown, 'more column')} would not fit here.")


def print_predicted(path, source, model, found):
    """Say, beside the labels and so on stderr, how many rows got one."""
    facts = [
        ("Read", f"{path} ({source.note}): {count(source.rows, 'row')}"),
        ("Labelled", f"{count(len(found.labels), 'row')} by {some(model.columns)}"),
    ]
    if lost := source.rows - len(found.labels):
        facts.append(("Left out", f"{count(lost, 'row')} with a missing value"))
    if found.unused:
        facts.append(("Left out", f"{some(found.unused)}: not in the model"))
    sizes = np.bincount(found.labels, minlength=len(model.centroids))
    counts = ", ".join(f"{i}: {size:,}" for i, size in enumerate(sizes))
    print_facts([*facts, ("Clusters", counts)], stderr=True)


def print_quantized(path, source, found, size):
    """Say how near the new image is to the old one, and what it saves."""
    before, plain = path.stat().st_size, int(found.bytes_before)
    facts = [
        ("Read", f"{path} ({source.note})"),
        ("Colours", f"{len(found.palette)}"),
        ("PSNR", f"{float(found.psnr):.2f} dB"),
        (
            "Pixels",
            f"{plain:,} bytes, now {int(found.bytes_after):,}{_saved(plain, found.bytes_after)}",
        ),
        ("File", f"{before:,} bytes, now {size:,}{_saved(before, size)}"),
    ]
    print_facts(facts)


def _saved(before, after):
    share = 1 - float(after) / before
    return f": {share:.1%} saved" if share >= 0 else f": {-share:.1%} more"


def print_sweep(swept):
    """One line for every number of clusters, and one for what each criterion says."""
    where = f"on {count(swept.rows, 'row')}"
    heading, rows = score_rows(swept.sweep)
    columns = list(zip(heading, zip(*rows, strict=True), strict=True))
    _console().print(_table(f"\nCriteria {where}", columns))
    facts = [
        (name, f"{'no clear answer' if choice.k is None else f'k = {choice.k}'}. {choice.reason}")
        for name, choice in says(swept)
    ]
    print_facts([*facts, ("", ""), ("Taken", f"k = {swept.k}. {swept.reason}")])


def print_quality(quality, trust):
    """Say how good the clusters are, and how far to trust them."""
    facts = []
    if np.isfinite(quality.silhouette):
        facts = [
            ("Silhouette", f"{quality.silhouette:.3f}: {structure(quality.silhouette)}"),
            ("Davies-Bouldin", f"{quality.davies_bouldin:.3f} (low is good)"),
            ("Calinski-Harabasz", f"{quality.calinski_harabasz:.4g} (high is good)"),
        ]
    by_words: dict[str, list] = {}
    for i, value in enumerate(trust.jaccard):
        by_words.setdefault(trust_words(value), []).append(f"{i} ({value:.2f})")
    for words, clusters in by_words.items():
        noun = "cluster" if len(clusters) == 1 else "clusters"
        facts.append(("Stability", f"{noun} {some(clusters)}: {words}"))
    facts.append(("Starts", f"agree to {trust.mean:.2f} (adjusted Rand index)"))
    print_facts(facts)


def print_files(paths, nothing="--out DIR saves a report, labels, centroids and a model"):
    """Say what was written."""
    print_facts([("Wrote", str(path)) for path in paths] or [("Wrote", f"nothing: {nothing}")])


def print_facts(facts, *, stderr=False):
    """Labels on the left, what they say on the right."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=len("Left out"))
    grid.add_column()
    for label, text in facts:
        grid.add_row(label, text)
    _console(stderr=stderr).print(grid)


def _console(*, stderr=False):
    # A pipe has no width to keep to. Names may hold brackets: no markup.
    console = Console(markup=False, highlight=False, emoji=False, stderr=stderr)
    if not console.is_terminal:
        console.width = 1000
    return console


def _table_columns(clusters, names):
    """Heading and cells of every column of the table."""
    sizes = clusters.sizes
    return [
        ("cluster", [str(i) for i in range(len(sizes))]),
        ("size", [f"{size:,}" for size in sizes]),
        ("share", [f"{share:.1%}" for share in sizes / sizes.sum()]),
        ("inertia", aligned(clusters.inertias)),
        *zip(map(broken, names), map(aligned, clusters.centroids.T), strict=True),
    ]


def _fitting(columns, width):
    """How many columns fit the width; the first five are shown in any case."""
    taken = 0
    for i, (heading, cells) in enumerate(columns):
        taken += len(" | ") + max(map(len, (*heading.split("\n"), *cells)))
        if taken > width and i >= 5:
            return i
    return len(columns)


def _table(title, columns):
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for heading, _ in columns:
        table.add_column(heading, justify="right", vertical="bottom")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _by_reason(left_out):
    reasons: dict[str, list] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons
