"""What an iteration asks of one block of rows, and how the answers of blocks merge.

Every function is one for `visit`; the arithmetic is that of the algorithms in memory.
Totals are in float64 where the device has it, so that they hardly depend on how many
blocks there are or in which order they came.
"""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_finite, check_points, check_weights
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, widest
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._backend.transform import is_concrete, stop_gradient
from kmeans_fx._partition import Space, centred_space, own_distances, partition, variance
from kmeans_fx.algorithms._sweeps import Swept
from kmeans_fx.distances import as_metric, identity
from kmeans_fx.update import ClusterStats

__all__ = [
    "Farthest",
    "How",
    "Moments",
    "add",
    "farther",
    "farthest_row",
    "label_rows",
    "merge_moments",
    "moments",
    "real_rows",
    "statistics",
]


class How(NamedTuple):
    """The metric and the size of chunks within a block."""

    metric: Any
    chunk_size: int | None

    @property
    def portable(self):
        """Whether a callable keeps a program from being one opaque operation."""
        return not isinstance(self.metric, str)


class Moments(NamedTuple):
    """What is to be known of the rows beforehand.

    Attributes
    ----------
    sizes : tuple of pairs of ints
        Number and length of every block that has rows.
    dtype
        Of the rows as given.
    mean : array (d,)
        Of the mapped rows.
    total, spread : array ()
        Sum of the weights, and of the squared distances to the mean.
    """

    sizes: tuple
    dtype: Any
    mean: Any
    total: Any
    spread: Any


def moments(block, kept, how):
    """The Moments of a block, whose rows and weights are checked here."""
    del kept
    try:
        xp, rows, weights = _checked(block)
    except (TypeError, ValueError) as error:
        msg = f"block {block.number} of the rows: {error}"
        raise type(error)(msg) from None
    found = _moments(rows, weights, portable=how.portable, **how._asdict())
    mean, total, spread = (xp.astype(a, widest(xp, a)) for a in found)
    sizes = ((block.number, rows.shape[0]),)
    return Swept(None, Moments(sizes, block.rows.dtype, mean, total, spread))


def _checked(block):
    xp, rows = check_points(x=block.rows)
    if not is_concrete(rows):
        msg = "it needs an eager call: it cannot run under jit, vmap, grad or compile"
        raise ValueError(msg)
    if rows.ndim != 2:
        msg = f"x must have shape (m, d), got {tuple(rows.shape)}"
        raise ValueError(msg)
    weights = stop_gradient(check_weights(xp, rows, block.weights, of_all=False))
    check_finite(x=rows)
    return xp, stop_gradient(rows), weights


@program("nd n", "d . .")
def _moments(x, weights, *, metric, chunk_size):
    xp = array_namespace(x=x)
    metric = as_metric(metric)
    metric = metric._replace(embed=identity) if metric.embed is None else metric
    absent = None if weights is None else xp.sum(weights) == 0
    if absent is not None:
        # A block of absent rows has a mean, too, but a weight of 0.
        weights = xp.where(absent, xp.ones_like(weights), weights)
    space = centred_space(x, weights, metric, chunk_size)
    total = xp.full_like(space.origin[0], x.shape[-2]) if weights is None else xp.sum(weights)
    if absent is not None:
        total = xp.where(absent, xp.zeros_like(total), total)
    return space.origin, total, variance(x, weights, space) * total * space.origin.shape[-1]


def merge_moments(first, second):
    """The Moments of two parts of the rows together (Chan, Golub and LeVeque 1979)."""
    (number, *_), (other, *_) = first.sizes[0], second.sizes[0]
    xp = array_namespace(**{f"block {number}": first.mean, f"block {other}": second.mean})
    for name, one, two in (
        ("columns", first.mean.shape[0], second.mean.shape[0]),
        ("dtype", first.dtype, second.dtype),
    ):
        if one != two:
            msg = f"blocks must agree in {name}: {one} in block {number}, {two} in block {other}"
            raise ValueError(msg)
    total = first.total + second.total
    share = second.total / xp.where(total > 0, total, xp.ones_like(total))
    gap = second.mean - first.mean
    between = xp.sum(gap * gap) * first.total * share
    return Moments(
        first.sizes + second.sizes,
        first.dtype,
        first.mean + gap * share,
        total,
        first.spread + second.spread + between,
    )


def statistics(block, kept, centroids, origin, dropped, how, track):
    """The ClusterStats of a block; ``track`` asks for the inertia."""
    del kept
    rows, weights = real_rows(block)
    found = _statistics(
        rows, centroids, weights, origin, dropped,
        portable=how.portable, track=track, **how._asdict(),
    )  # fmt: skip
    return Swept(None, ClusterStats(*(_wide(array) for array in found)))


@program("nd kd n d k", "kd k .")
def _statistics(x, centroids, weights, origin, dropped, *, metric, chunk_size, track):
    space = Space(as_metric(metric), origin, chunk_size)
    return partition(x, centroids, weights, space, dropped=dropped, distances=track).stats


class Farthest(NamedTuple):
    """The row (1, d) that is farthest from its centroid, and its distance."""

    row: Any
    distance: Any


def farthest_row(block, kept, centroids, origin, how):
    """The Farthest of a block; an absent row has the distance -1."""
    del kept
    rows, weights = real_rows(block)
    index, distance = _farthest(
        rows, centroids, weights, origin, portable=how.portable, **how._asdict()
    )
    xp = array_namespace(rows=rows)
    return Swept(None, Farthest(take_rows(xp, rows, index[None]), distance))


@program("nd kd n d", ".:index .")
def _farthest(x, centroids, weights, origin, *, metric, chunk_size):
    xp = array_namespace(x=x)
    space = Space(as_metric(metric), origin, chunk_size)
    labels = partition(x, centroids, None, space, stats=False).labels
    distances = own_distances(x, labels, centroids, space)
    if weights is not None:
        distances = xp.where(weights > 0, distances, -xp.ones_like(distances))
    return xp.argmax(distances, axis=-1), xp.max(distances, axis=-1)


def farther(first, second):
    """The Farthest of two parts of the rows; the first one of equals."""
    return first if bool(first.distance >= second.distance) else second


def label_rows(block, kept, centroids, origin, dropped, how, keep):
    """The inertia of a block, and its labels if they are to be kept."""
    del kept
    rows, weights = real_rows(block)
    labels, inertia = _labels(
        rows, centroids, weights, origin, dropped, portable=how.portable, **how._asdict()
    )
    return Swept(labels if keep else None, (_wide(inertia),))


@program("nd kd n d k", "n:index .")
def _labels(x, centroids, weights, origin, dropped, *, metric, chunk_size):
    space = Space(as_metric(metric), origin, chunk_size)
    part = partition(x, centroids, weights, space, dropped=dropped, stats=False, distances=True)
    return part.labels, part.inertia


def add(first, second):
    """Tuples of arrays, entry by entry."""
    return type(first)(*_sums(first, second)) if hasattr(first, "_fields") else _sums(first, second)


def _sums(first, second):
    return tuple(a + b for a, b in zip(first, second, strict=True))


def real_rows(block):
    """The rows as real numbers, and the weights in their accumulation dtype."""
    xp, rows = check_points(x=stop_gradient(block.rows))
    weights = stop_gradient(block.weights)
    if weights is not None:
        weights = xp.astype(weights, accumulation_dtype(xp, rows.dtype), copy=False)
    return rows, weights


def _wide(array):
    xp = array_namespace(array=array)
    return xp.astype(array, widest(xp, array), copy=False)
