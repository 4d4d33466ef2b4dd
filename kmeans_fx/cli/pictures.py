"""The pictures of a run as PNG files in memory, each with its words."""

import io
import os
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from kmeans_fx import plot
from kmeans_fx.cli.fitting import painted
from kmeans_fx.cli.sweeping import sampled, sampled_rows
from kmeans_fx.cli.words import broken
from kmeans_fx.plot._style import pyplot

# Small, so that the letters are large on a phone; sharp in print.
_WIDTH, _DPI = 5.4, 200
_COLUMNS = 8
_CLUSTERS = 20


class Picture(NamedTuple):
    """A picture in words and bytes.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    title : str
    alt : str
        What is to be seen, for those who cannot.
    png : bytes
    """

    name: str
    title: str
    alt: str
    png: bytes


def sweep_pictures(swept):
    """The criteria over the number of clusters."""
    found, k = swept.sweep, swept.k
    if len(found.ks) < 2:
        return
    yield _picture(
        "elbow",
        "Inertia",
        f"Line: inertia falls from {_span(found, 'inertia')}; k = {k} is marked.",
        lambda: plot.elbow(found, chosen=k),
    )
    if np.isfinite(found.gap).sum() > 1:
        yield _picture(
            "gap",
            "Gap statistic",
            f"Line with error bars: gap from {_span(found, 'gap')}; k = {k} is marked.",
            lambda: plot.gap(found, chosen=k),
        )
    for score, (title, best) in _CRITERIA.items():
        values = getattr(found, score)
        if np.isfinite(values).sum() > 1:
            at = found.ks[getattr(np, f"nanarg{best}")(values)]
            yield _picture(
                score,
                title,
                f"Line: {title} from {_span(found, score)}; best at k = {at}.",
                lambda score=score, values=values: plot.criteria(found.ks, {score: values})[0],
            )


_CRITERIA = {
    "silhouette": ("Silhouette", "max"),
    "davies_bouldin": ("Davies-Bouldin score", "min"),
    "calinski_harabasz": ("Calinski-Harabasz score", "max"),
}


def cluster_pictures(job, clusters, quality, sample):
    """The clusters themselves, and how well each row fits its own."""
    names, k = job.selection.names, len(clusters.sizes)
    rows = sampled_rows(job, sample)
    labels = clusters.labels if rows is None else clusters.labels[rows]
    x = np.asarray(sampled(job, sample))
    if job.source.shape is not None:
        yield _before_after(job, clusters)
    if len(names) <= _COLUMNS and 1 < k <= _CLUSTERS:
        yield _picture(
            "profile",
            "Centroids beside the mean",
            f"Table in colour: {k} clusters by {len(names)} columns, the numbers of the table of "
            "centroids; red is above the mean of the column, blue below.",
            lambda: plot.profile(
                clusters.centroids, feature_names=[*map(broken, names)], sizes=clusters.sizes
            ),
            high=True,
        )
    if len(names) > 1:
        what = "the two columns" if len(names) == 2 else "their first two principal components"
        yield _picture(
            "clusters",
            "Rows and centroids",
            f"Scatter plot of the scaled rows in {what}, coloured by cluster, with "
            f"{k} centroids as crosses.",
            lambda: plot.clusters(x, labels, clusters.scaled, feature_names=names[:2]),
        )
    if np.isfinite(quality.silhouettes).all() and k <= _CLUSTERS:
        means = [quality.silhouettes[quality.labels == i].mean() for i in np.unique(quality.labels)]
        each = ", ".join(f"{mean:.2f}" for mean in means)
        yield _picture(
            "silhouettes",
            "Silhouettes of the rows",
            f"One blade a cluster, the rows sorted by silhouette. Means by cluster: {each}.",
            lambda: plot.silhouette(quality.silhouettes, quality.labels),
        )


def agreement_picture(trust):
    """How alike the fits of several starts are."""
    return _picture(
        "agreement",
        "Agreement of starts",
        f"Square table in colour: adjusted Rand index of each two of {len(trust.agreement)} "
        f"starts; mean {trust.mean:.2f}, least {trust.agreement.min():.2f}.",
        lambda: plot.stability(trust.agreement, label="adjusted Rand index"),
    )


def _before_after(job, clusters):
    shape = (*job.source.shape, 3)
    before = np.column_stack(list(job.source.columns.values())).reshape(shape)
    after = painted(clusters, job.source.shape)
    return _picture(
        "before_after",
        "The image before and after",
        f"Two images side by side: as it was, and in {len(clusters.centroids)} colours.",
        lambda: plot.before_after(before.astype(np.uint8), after)[0],
    )


def _picture(name, title, alt, draw, *, high=False):
    with _closed(draw) as figure:
        height = figure.get_figheight() if high else min(figure.get_figheight(), 0.75 * _WIDTH)
        figure.set_size_inches(_WIDTH, height)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=_DPI)
    return Picture(name, title, alt, png.getvalue())


@contextmanager
def _closed(draw):
    """A new figure, which does not stay in memory."""
    # No window is wanted, and not every machine could open one.
    os.environ.setdefault("MPLBACKEND", "Agg")
    figure = draw().figure
    try:
        yield figure
    finally:
        pyplot().close(figure)


def _span(found, field):
    values = getattr(found, field)
    known = np.flatnonzero(np.isfinite(values))
    first, last = known[0], known[-1]
    return (
        f"{values[first]:.4g} at k = {found.ks[first]} to {values[last]:.4g} "
        f"at k = {found.ks[last]}"
    )
