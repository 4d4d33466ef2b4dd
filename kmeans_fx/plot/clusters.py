"""The rows of every cluster: their silhouettes, and where they lie."""

from kmeans_fx.plot._style import (
    ACCENT,
    cluster_colours,
    cluster_markers,
    integers,
    new_axes,
    reals,
)

__all__ = ["clusters", "silhouette"]

# More steps on the edge of a blade than its height in pixels show nothing more.
_STEPS = 500


def silhouette(values, labels, /, *, ax=None):
    """Silhouettes of all rows, sorted within their clusters: one blade a cluster.

    Parameters
    ----------
    values : array (n,)
        From -1 to 1: see `kmeans_fx.metrics.silhouette_samples`.
    labels : integer array (n,)
        Any integers.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import metrics, plot
    >>> x, labels = np.array([[0.0], [1.0], [9.0], [9.5]]), np.array([0, 0, 1, 1])
    >>> plot.silhouette(metrics.silhouette_samples(x, labels), labels).get_xlabel()
    'silhouette (mean 0.92)'
    """
    import numpy as np

    values, labels = reals(values, "values", 1), integers(labels, "labels", 1)
    _check_rows("labels", labels, values)
    names, own = np.unique(labels, return_inverse=True)
    ax = new_axes(ax, height=max(3.2, min(8.0, 1.6 + 0.42 * len(names))))
    space, start, centres = max(1.0, 0.02 * len(values)), 0.0, []
    for i, colour in enumerate(cluster_colours(len(names))):
        blade = np.sort(values[own == i])
        # A step function: every row is one unit high, all of one value a rectangle.
        edge = np.linspace(0, len(blade), min(len(blade), _STEPS) + 1)
        width = blade[np.minimum(edge.astype(int), len(blade) - 1)]
        ax.fill_betweenx(start + edge, 0, width, facecolor=colour, alpha=0.85, step="post")
        centres.append(start + len(blade) / 2)
        start += len(blade) + space
    sizes = np.bincount(own)
    ticks = [f"{name} ({size:,})" for name, size in zip(names, sizes, strict=True)]
    ax.set_yticks(centres, ticks, fontsize=9 if len(names) <= 20 else 7)
    ax.axvline(values.mean(), color=ACCENT, linestyle="--", linewidth=1.4)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(xlabel=f"silhouette (mean {values.mean():.2f})", ylabel="cluster (rows)")
    ax.set(xlim=(min(0.0, values.min()) - 0.02, 1), ylim=(-space, start))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def clusters(x, labels, centroids=None, /, *, feature_names=None, max_points=5000, ax=None):
    """Rows and centroids in the plane of the first two principal components.

    Parameters
    ----------
    x : array (n, d)
        At least two columns. Two are shown as they are; more are projected.
    labels : integer array (n,)
        Any integers; centroid i is that of label i.
    centroids : array (k, d), optional
        Shown as crosses with their numbers.
    feature_names : sequence of two str, optional
        For rows of two columns.
    max_points : int, default 5000
        Of more rows, so many are drawn, evenly spaced in their order. The components are
        those of all rows.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape.

    Notes
    -----
    Clusters that overlap here may be apart in the other components: the labels of the axes
    say how much of the variance the picture shows.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans, plot
    >>> x = np.random.default_rng(0).normal(size=(100, 3)) * [3.0, 1.0, 0.1]
    >>> result = kmeans(x, 2, key=0)
    >>> plot.clusters(x, result.labels, result.centroids).get_xlabel()
    'principal component 1 (90% of the variance)'
    """
    import numpy as np

    x, labels = reals(x, "x", 2), integers(labels, "labels", 1)
    _check_rows("labels", labels, x)
    centroids = x[:0] if centroids is None else reals(centroids, "centroids", 2)
    if x.shape[1] < 2 or centroids.shape[1] != x.shape[1]:
        msg = (
            "x must have at least two columns, and centroids as many; got shapes "
            f"{x.shape} and {centroids.shape}"
        )
        raise ValueError(msg)
    points, centres, axis_labels = _plane(x, centroids, feature_names)
    # All rows of a small table, and no more of a large one than can be told apart.
    shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), max_points)).astype(int))
    ax = new_axes(ax, height=5.2)
    names = np.union1d(labels, np.arange(len(centres)))
    _scatter(ax, points[shown], labels[shown], names)
    _crosses(ax, centres)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    ax.spines[["top", "right"]].set_visible(False)
    if len(names) <= 20:
        ax.legend(
            title="cluster", loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=9
        )
    return ax


def _plane(x, centroids, feature_names):
    """Two columns of the rows and of the centroids, and the labels of the axes."""
    import numpy as np

    if x.shape[1] == 2:
        return x, centroids, list(feature_names or ("column 0", "column 1"))
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    basis = vectors[:, :-3:-1]
    shares = values[:-3:-1] / values.sum()
    names = [
        f"principal component {i + 1} ({share:.0%} of the variance)"
        for i, share in enumerate(shares)
    ]
    return (x - mean) @ basis, (centroids - mean) @ basis, names


def _scatter(ax, points, labels, names):
    """Small and transparent where they are many."""
    size, alpha = (16, 0.7) if len(points) <= 1000 else (6, 0.5)
    styles = zip(names, cluster_colours(len(names)), cluster_markers(len(names)), strict=True)
    for name, colour, marker in styles:
        rows = points[labels == name]
        ax.scatter(*rows.T, s=size, alpha=alpha, color=colour, marker=marker, linewidths=0)
        ax.scatter([], [], s=40, color=colour, marker=marker, linewidths=0, label=str(name))


def _crosses(ax, centres):
    """Black crosses and numbers with white edges, to be seen on any colour."""
    from matplotlib.patheffects import withStroke

    if not len(centres):
        return
    white = [withStroke(linewidth=3, foreground="white")]
    ax.scatter(*centres.T, s=80, color="black", marker="x", linewidths=2, path_effects=white)
    for i, centre in enumerate(centres):
        ax.annotate(
            str(i),
            centre,
            xytext=(6, 5),
            textcoords="offset points",
            weight="bold",
            path_effects=white,
        )


def _check_rows(name, found, rows):
    if len(found) != len(rows):
        msg = f"{name} must have {len(rows)} entries, one for every row, got {len(found)}"
        raise ValueError(msg)
