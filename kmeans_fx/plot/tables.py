"""Tables in colour: what is typical of each cluster, and how well clusterings agree."""

from kmeans_fx.plot._style import new_axes, reals

__all__ = ["profile", "stability"]

# Up to so many rows or columns, the number of a cell is written into it.
_ROOM = 12


def profile(centroids, /, *, feature_names=None, sizes=None, ax=None):
    """Centroids as a table: the values, and in colour how far they are from the mean.

    Parameters
    ----------
    centroids : array (k, d)
        In the units that are to be read: see `kmeans_fx.preprocess.invert_scale`.
    feature_names : sequence of d str, optional
    sizes : array (k,), optional
        Rows of each cluster. The mean of a column is then that of the data, and the sizes
        are written beside the clusters; without them all clusters count the same.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape, or the names are not d.

    Notes
    -----
    A column's colours show differences from its mean, divided by the largest of them: every
    column has a cell of full colour, however small its differences are.

    Examples
    --------
    >>> from kmeans_fx import plot
    >>> ax = plot.profile([[1.0, 200.0], [3.0, 150.0]], feature_names=["age", "income"])
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['age', 'income']
    """
    import numpy as np

    table = reals(centroids, "centroids", 2)
    k, d = table.shape
    names = _names(feature_names, "feature_names", d)
    shares, rows = np.full(k, 1 / k), [f"cluster {i}" for i in range(k)]
    if sizes is not None:
        sizes = reals(sizes, "sizes", 1)
        if sizes.shape != (k,) or not sizes.sum() > 0:
            msg = f"sizes must be {k} numbers with a positive sum, got shape {sizes.shape}"
            raise ValueError(msg)
        shares = sizes / sizes.sum()
        rows = [f"{row} ({size:,.0f})" for row, size in zip(rows, sizes, strict=True)]
    away = table - shares @ table
    most = np.abs(away).max(axis=0)
    colour = away / np.where(most > 0, most, 1)
    ax = new_axes(ax, height=1.6 + 0.42 * k)
    image = ax.imshow(colour, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    _write(ax, [[_short(value) for value in row] for row in table], np.abs(colour) > 0.6)
    _ticks(ax, names, rows)
    bar = ax.figure.colorbar(image, ax=ax, ticks=[-1, 0, 1], fraction=0.05, pad=0.02)
    bar.ax.set_yticklabels(["below", "mean", "above"])
    return ax


def stability(matrix, /, *, names=None, label="agreement", ax=None):
    """A square table of how well clusterings agree, pair by pair.

    Parameters
    ----------
    matrix : array (m, m)
        As a rule adjusted Rand indices: 1 is the same partition, 0 no more than chance.
    names : sequence of m str, optional
        What was clustered, or which start; numbers if None.
    label : str, default "agreement"
        What the numbers are.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If the matrix cannot be read or is not square, or the names are not m.

    Examples
    --------
    >>> from kmeans_fx import plot
    >>> plot.stability([[1.0, 0.8], [0.8, 1.0]], names=["a", "b"]).get_title()
    'mean agreement of pairs: 0.80'
    """
    import numpy as np

    table = reals(matrix, "matrix", 2)
    m = table.shape[0]
    if table.shape != (m, m):
        msg = f"matrix must be square, got shape {table.shape}"
        raise ValueError(msg)
    names = _names(names, "names", m)
    ax = new_axes(ax, height=6.2)
    low = min(0.0, float(np.nanmin(table)))
    image = ax.imshow(table, cmap="cividis", vmin=low, vmax=1)
    _write(ax, [[f"{value:.2f}" for value in row] for row in table], table < (low + 1) / 2)
    _ticks(ax, names, names)
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.05, pad=0.02)
    if m > 1:
        pairs = table[~np.eye(m, dtype=bool)]
        ax.set_title(f"mean {label} of pairs: {pairs.mean():.2f}", fontsize=10)
    return ax


def _names(given, name, count):
    """``count`` names as str."""
    found = range(count) if given is None else list(given)
    if len(found) != count:
        msg = f"{name} must be {count} names, got {len(found)}"
        raise ValueError(msg)
    return [str(item) for item in found]


def _short(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _write(ax, texts, is_dark):
    """Every cell's text, unless they are too many to read."""
    if len(texts) > 2 * _ROOM or len(texts[0]) > _ROOM:
        return
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            colour = "white" if is_dark[i][j] else "black"
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)


def _ticks(ax, columns, rows):
    """Names of columns and rows; slanted, and not all of them, where they are many."""
    long = sum(map(len, columns)) > 70
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
    for axis, names, style in ((ax.xaxis, columns, slant), (ax.yaxis, rows, {})):
        step = -(-len(names) // 30)
        axis.set_ticks(range(0, len(names), step), names[::step], **style)
    ax.tick_params(length=0, labelsize=9)
