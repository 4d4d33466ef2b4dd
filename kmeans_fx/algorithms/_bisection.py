"""The tree of bisecting k-means: how it begins, and how a leaf becomes two."""

from typing import Any, NamedTuple

from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, device, index_dtype
from kmeans_fx._backend.random import fold_in, split
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._partition import Space, centred_space, cluster_centres, own_distances, partition
from kmeans_fx._sampling import choose_kmeans_plusplus
from kmeans_fx.algorithms.kmeans import best_of
from kmeans_fx.algorithms.lloyd import fit
from kmeans_fx.converge import CONVERGED, NONFINITE
from kmeans_fx.distances import METRICS, as_metric
from kmeans_fx.update import weighted_sum

__all__ = ["Tree", "root", "split_leaf"]


class Tree(NamedTuple):
    """A tree of ``turn + 1`` leaves; the entries of later nodes are not yet in use."""

    turn: Any
    centroids: Any
    labels: Any
    divisible: Any
    n_iter: Any
    status: Any
    children: Any
    inertia: Any
    weight: Any


class _Node(NamedTuple):
    """What is known of a leaf."""

    centroid: Any
    divisible: Any
    inertia: Any
    weight: Any


def root(x, weights, key, k, options):
    """The tree of one node."""
    xp = array_namespace(x=x)
    like = {"dtype": index_dtype(xp, x), "device": device(x)}
    leads = [a.shape[:-r] for a, r in ((x, 2), (weights, 1), (key, 1)) if a is not None]
    batch = broadcast_shapes(*leads)
    real = accumulation_dtype(xp, x.dtype)
    ones = xp.ones((*batch, x.shape[-2]), dtype=real, device=device(x))
    labels = xp.zeros(ones.shape, **like)
    weights = ones if weights is None else ones * weights
    node = _node(x, weights, labels, _centre(x, weights, options), options)
    zero, places = xp.zeros(batch, **like), xp.arange(2 * k - 1, **like)
    usable = xp.isfinite(node.inertia) & xp.all(weights >= 0, axis=-1)

    def first(value):
        """``value`` (...) at node 0, and zeros."""
        value = value[..., None]
        return xp.where(places == 0, value, xp.zeros_like(value))

    return Tree(
        turn=xp.zeros((), **like),
        centroids=xp.broadcast_to(node.centroid[..., None, :], (*batch, k, x.shape[-1])),
        labels=labels,
        divisible=first(node.divisible)[..., :k],
        n_iter=xp.zeros((*batch, k - 1), **like),
        status=xp.where(usable, zero + CONVERGED, zero + NONFINITE),
        children=xp.full((*batch, k - 1, 2), -1, **like),
        inertia=first(node.inertia),
        weight=first(node.weight),
    )


def _centre(x, weights, options):
    """The centre (..., d) of all rows, as the caller will see it."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, as_metric(options.metric), options.chunk_size)
    start = space.relative(x[..., :1, :])
    part = partition(x, start, weights, space)
    centre = space.absolute(cluster_centres(x, part.labels, weights, part.stats, start, space))
    return xp.astype(xp.astype(centre, x.dtype), centre.dtype)[..., 0, :]


def _node(x, share, labels, centroid, options):
    """A node of the rows with a positive share; ``labels`` are zeros."""
    xp = array_namespace(x=x)
    nowhere = xp.zeros(x.shape[-1:], dtype=share.dtype, device=device(x))
    space = Space(as_metric(options.metric), nowhere, options.chunk_size)
    far = own_distances(x, labels, centroid[..., None, :], space)
    return _Node(
        centroid,
        _differ(x, share, labels, space._replace(metric=METRICS["sqeuclidean"])),
        weighted_sum(xp, far, share),
        xp.sum(share, axis=-1),
    )


def _differ(x, share, labels, space):
    """Whether two rows of the node differ: exactly, where an inertia may be rounding."""
    xp = array_namespace(x=x)
    present = share > 0
    some = xp.argmax(xp.astype(present, xp.int32), axis=-1)[..., None]
    row = xp.astype(take_rows(xp, x, some), share.dtype)
    return xp.any((own_distances(x, labels, row, space) > 0) & present, axis=-1)


def split_leaf(x, weights, key, tree, *, by, n_init, options):
    """Split a leaf: its number goes to one half, the next number to the other."""
    xp = array_namespace(x=x)
    leaf = _chosen(xp, tree, by)
    members = tree.labels == leaf[..., None]
    share = xp.astype(members, tree.inertia.dtype)
    share = share if weights is None else share * weights
    fitted = _bisect(x, share, fold_in(key, tree.turn), n_init, options)
    zeros = xp.zeros_like(tree.labels)
    halves = [
        _node(
            x,
            xp.where(fitted.labels == side, share, xp.zeros_like(share)),
            zeros,
            xp.astype(fitted.centroids[..., side, :], share.dtype),
            options,
        )
        for side in (0, 1)
    ]
    labels = xp.where(fitted.labels == 0, leaf[..., None], tree.turn + 1)
    return _grown(xp, tree, leaf, halves, fitted)._replace(
        labels=xp.where(members, labels, tree.labels)
    )


def _chosen(xp, tree, by):
    """The leaf to split: the largest whose rows differ, while there is one."""
    k = tree.divisible.shape[-1]
    size = (tree.inertia if by == "inertia" else tree.weight)[..., :k]
    # Only the first leaves are in use, and one without rows cannot be split at all.
    rest = xp.where(tree.weight[..., :k] > 0, -xp.ones_like(size), -2 * xp.ones_like(size))
    size = xp.where(tree.divisible, size, rest)
    places = xp.arange(k, dtype=tree.turn.dtype, device=device(size))
    return xp.argmax(xp.where(places <= tree.turn, size, -3 * xp.ones_like(size)), axis=-1)


def _bisect(x, share, key, n_init, options):
    """The best of ``n_init`` fits of two clusters to the rows with a share."""
    if n_init > 1:
        x, share, key = x[..., None, :, :], share[..., None, :], split(key, n_init)
    xp = array_namespace(x=x)
    (rows,) = choose_kmeans_plusplus(
        x, share, key, k=2, metric=options.metric, n_trials=2, portable=True
    )
    result = fit(x, take_rows(xp, x, rows), share, key, options)
    return result if n_init == 1 else best_of(result)


def _grown(xp, tree, leaf, halves, fitted):
    """The tree after a split, but for the labels."""
    k, second = tree.centroids.shape[-2], tree.turn + 1
    node, row = 2 * k - 2 - tree.turn, k - 2 - tree.turn
    places = xp.arange(2 * k - 1, dtype=tree.turn.dtype, device=device(leaf))

    def put(values, name):
        """The values of the halves in their places."""
        one, other = (getattr(half, name)[..., None] for half in halves)
        here = places[: values.shape[-1]]
        values = xp.where(here == leaf[..., None], one, values)
        return xp.where(here == second, other, values)

    def moved(values):
        """What the leaf had is now that of an inner node."""
        own = xp.take_along_axis(values, leaf[..., None], axis=-1)
        return xp.where(places == node, own, values)

    is_row = places[: k - 1] == row
    pair = xp.stack([leaf, xp.broadcast_to(second, leaf.shape)], axis=-1)
    children = xp.where(tree.children == leaf[..., None, None], node, tree.children)
    one, other = (half.centroid[..., None, :] for half in halves)
    here = places[:k, None]
    centroids = xp.where(here == leaf[..., None, None], one, tree.centroids)
    return tree._replace(
        turn=second,
        centroids=xp.where(here == second, other, centroids),
        divisible=put(tree.divisible, "divisible"),
        n_iter=xp.where(is_row, fitted.n_iter[..., None], tree.n_iter),
        status=xp.maximum(tree.status, fitted.status),
        children=xp.where(is_row[:, None], pair[..., None, :], children),
        inertia=put(moved(tree.inertia), "inertia"),
        weight=put(moved(tree.weight), "weight"),
    )
