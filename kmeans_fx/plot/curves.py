"""Curves over the number of clusters, and over the iterations."""

from kmeans_fx.plot._style import ACCENT, GREY, new_axes, panels, reals

__all__ = ["criteria", "elbow", "gap", "inertia_trace"]

_LINE = {"color": "#0072B2", "marker": "o", "markersize": 5, "linewidth": 1.6}
# The criteria of a Sweep, what they are called, and which end is better.
_CRITERIA = {
    "silhouette": ("silhouette", "highest"),
    "davies_bouldin": ("Davies-Bouldin", "lowest"),
    "calinski_harabasz": ("Calinski-Harabasz", "highest"),
}


def elbow(ks, inertia=None, /, *, chosen=None, ax=None):
    """Inertia over the number of clusters.

    Parameters
    ----------
    ks : Sweep or array (m,)
        The result of `kmeans_fx.select.sweep`, or the numbers of clusters.
    inertia : array (m,), optional
        If ``ks`` is no Sweep.
    chosen : int or Choice, optional
        The number of clusters to mark, as `kmeans_fx.select.choose_k` gives it. The curve
        always has a bend somewhere: nothing is marked unless asked for.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape, or ``chosen`` is none of ``ks``.

    Examples
    --------
    >>> from kmeans_fx import plot
    >>> plot.elbow([1, 2, 3, 4], [90.0, 20.0, 15.0, 12.0], chosen=2).get_ylabel()
    'inertia'
    """
    ks, inertia = _curves(ks, inertia=inertia)
    ax = new_axes(ax)
    ax.plot(ks, inertia, **_LINE)
    _mark(ax, ks, inertia, chosen)
    ax.set_ylim(bottom=0)
    return _finish(ax, ks, "inertia")


def criteria(ks, scores=None, /, *, axes=None):
    """Scores over the number of clusters, one panel each, with the best one marked.

    Parameters
    ----------
    ks : Sweep or array (m,)
        The result of `kmeans_fx.select.sweep`, or the numbers of clusters.
    scores : dict of str to array (m,), optional
        If ``ks`` is no Sweep: "silhouette", "davies_bouldin" (lower is better),
        "calinski_harabasz". NaN where a score is not defined, as for one cluster.
    axes : sequence of matplotlib.axes.Axes, optional
        One for each score; a row of new ones if None.

    Returns
    -------
    array of matplotlib.axes.Axes
        One for each score, unlike other functions here.

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape, a score is unknown, or ``axes`` are
        more or fewer than the scores.

    Examples
    --------
    >>> from kmeans_fx import plot
    >>> ax, = plot.criteria([2, 3, 4], {"silhouette": [0.4, 0.6, 0.5]})
    >>> print(ax.get_title())
    silhouette
    highest at k = 3
    """
    if scores is None:
        scores = {name: getattr(ks, name) for name in _CRITERIA if hasattr(ks, name)}
    if not scores or not scores.keys() <= _CRITERIA.keys():
        msg = f"scores must be among {', '.join(_CRITERIA)}, got {', '.join(scores) or 'none'}"
        raise ValueError(msg)
    axes = panels(axes, len(scores))
    for ax, (name, score) in zip(axes, scores.items(), strict=True):
        _criterion(ax, getattr(ks, "ks", ks), name, score)
    return axes


def gap(ks, values=None, error=None, /, *, chosen=None, ax=None):
    """Gap statistic over the number of clusters, with its standard error.

    Parameters
    ----------
    ks : Sweep or array (m,)
        The result of `kmeans_fx.select.sweep`, or the numbers of clusters.
    values, error : array (m,), optional
        Gap and standard error, if ``ks`` is no Sweep.
    chosen : int or Choice, optional
        The number of clusters to mark, as `kmeans_fx.select.choose_k` gives it.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape, or ``chosen`` is none of ``ks``.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther, T. Hastie, "Estimating the number of clusters in a
       data set via the gap statistic", J. R. Statist. Soc. B 63(2), 2001 (figure 2).

    Examples
    --------
    >>> from kmeans_fx import plot
    >>> plot.gap([1, 2, 3], [0.1, 0.8, 0.7], [0.02, 0.03, 0.03], chosen=2).get_xlabel()
    'number of clusters k'
    """
    if hasattr(ks, "gap"):
        ks, values, error = ks.ks, ks.gap, ks.gap_error
    ks, values, error = _curves(ks, values=values, error=error)
    ax = new_axes(ax)
    ax.errorbar(ks, values, yerr=error, capsize=4, ecolor=GREY, **_LINE)
    _mark(ax, ks, values, chosen)
    return _finish(ax, ks, "gap statistic (bars: one standard error)")


def inertia_trace(history, /, *, ax=None):
    """Inertia over the iterations of a fit, or of several, the best of them in colour.

    Parameters
    ----------
    history : array (m,) or (r, m)
        ``KMeansResult.history`` of one fit or of r; NaN after the last iteration.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If the history cannot be read, has another shape (it is empty unless the fit got
        ``history=True``), or a row of it has no number.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import kmeans, plot
    >>> result = kmeans(np.arange(20.0)[:, None], 3, key=0, history=True)
    >>> plot.inertia_trace(result.history).get_xlabel()
    'iteration'
    """
    import numpy as np

    rows = np.atleast_2d(reals(history, "history", 1, 2))
    lengths = np.isfinite(rows).sum(axis=1)
    if not lengths.all():
        msg = "history must have a finite number in every row"
        raise ValueError(msg)
    ax = new_axes(ax)
    last = rows[np.arange(len(rows)), lengths - 1]
    best = int(np.argmin(last))
    # The best one last, above the others.
    for i in sorted(range(len(rows)), key=lambda i: i == best):
        line = rows[i, : lengths[i]]
        style = _LINE if i == best else {"color": GREY, "alpha": 0.5, "linewidth": 1.0}
        ax.plot(np.arange(1, len(line) + 1), line, **(style | {"markersize": 3.5}))
    if len(rows) > 1:
        ax.plot([], [], color=GREY, alpha=0.5, label=f"{len(rows) - 1} other starts")
        ax.plot([], [], **_LINE, label=f"the best, {last[best]:.5g} at the end")
        ax.legend(frameon=False)
    return _finish(ax, np.arange(1, lengths.max() + 1), "inertia", "iteration")


def _curves(ks, **curves):
    """Numbers of clusters in ascending order, and the curves; missing ones of a Sweep."""
    import numpy as np

    if hasattr(ks, "inertia"):
        ks, curves = ks.ks, {name: getattr(ks, name) for name in curves}
    ks = reals(ks, "ks", 1)
    order = np.argsort(ks)
    arrays = []
    for name, curve in curves.items():
        array = reals(curve, name, 1)
        if array.shape != ks.shape:
            msg = f"{name} must have shape {ks.shape} to match ks, got {array.shape}"
            raise ValueError(msg)
        arrays.append(array[order])
    return [ks[order], *arrays]


def _criterion(ax, ks, name, score):
    import numpy as np

    ks, score = _curves(ks, **{name: score})
    title, better = _CRITERIA[name]
    ax.plot(ks, score, **_LINE)
    if np.isfinite(score).any():
        best = int(np.nanargmax(score) if better == "highest" else np.nanargmin(score))
        _ring(ax, ks[best], score[best])
        title = f"{title}\n{better} at k = {ks[best]:.0f}"
    _finish(ax, ks, "")
    ax.set_title(title, fontsize=10)


def _mark(ax, ks, curve, chosen):
    """A ring around the chosen number of clusters, and its name."""
    chosen = getattr(chosen, "k", chosen)
    if chosen is None:
        return
    places = (ks == float(chosen)).nonzero()[0]
    if not len(places):
        msg = f"chosen must be one of ks, got {chosen}"
        raise ValueError(msg)
    _ring(ax, ks[places[0]], curve[places[0]])
    ax.plot([], [], "o", markersize=11, **_RING, label=f"chosen: k = {int(chosen)}")
    ax.legend(frameon=False)


_RING = {"markerfacecolor": "none", "markeredgecolor": ACCENT, "markeredgewidth": 2.2}


def _ring(ax, k, value):
    ax.plot([k], [value], "o", markersize=13, zorder=4, **_RING)


def _finish(ax, ticks, ylabel, xlabel="number of clusters k"):
    from matplotlib.ticker import MaxNLocator

    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=min(len(ticks), 12), integer=True))
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
