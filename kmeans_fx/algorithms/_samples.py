"""Initial centroids from samples of the rows, for data of which a pass is dear."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._ranks import own_key, ranks_of, total
from kmeans_fx.algorithms._batches import draw_sample
from kmeans_fx.algorithms.kmeans import initial_centroids, restart_keys
from kmeans_fx.assign import assign
from kmeans_fx.update import weighted_sum

__all__ = ["Search", "best_of_samples", "best_start", "count_samples"]


class Search(NamedTuple):
    """How initial centroids are found: a callable or an array, and so many samples.

    With ``reduce`` a sample has rows of all ranks, each of which holds its own part.
    """

    start: Any
    n_init: int
    size: int
    metric: Any
    reduce: Any = None


def best_start(x, k, words, weights, search, length):
    """Initial centroids from a sample, or those of the best of several samples."""
    samples = _samples(x, weights, words, search, length) if callable(search.start) else []
    return best_of_samples(x, k, words, weights, search, samples)


def best_of_samples(x, k, words, weights, search, samples):
    """`best_start` of samples (rows, weights): one for each start, and one to judge them by."""
    xp = array_namespace(x=x)
    if not callable(search.start):
        return initial_centroids(xp, x, k, search.start, words, weights, search.metric)
    keys = [words]
    if search.n_init > 1:
        (found,) = restart_keys(words, r=search.n_init)
        keys = [found[i, :] for i in range(search.n_init)]
    starts = [
        initial_centroids(xp, rows, k, search.start, key, shares, search.metric)
        for key, (rows, shares) in zip(keys, samples, strict=False)
    ]
    if len(starts) == 1:
        return starts[0]
    rows, shares = samples[-1]
    left = [assign(rows, start, metric=search.metric).distances for start in starts]
    left = xp.stack([weighted_sum(xp, distances, shares) for distances in left])
    left = total(left, search.reduce)
    return xp.take(xp.stack(starts), xp.argmin(left)[None], axis=0)[0, ...]


def count_samples(search):
    """A sample for each start, and one more to judge them by."""
    return search.n_init + (search.n_init > 1)


def _samples(x, weights, words, search, length):
    """Pairs (rows, weights), as many as `count_samples`."""
    xp, n, count = array_namespace(x=x), x.shape[0], count_samples(search)
    size = ranks_of(x, search.reduce).share(search.size, n)
    if size >= n:
        return [(x, weights)] * count
    key = own_key(words, search.reduce)
    (index,) = draw_sample(x, key, r=count, s=size, length=length)

    def sample(rows):
        return take_rows(xp, x, rows), None if weights is None else xp.take(weights, rows)

    return [sample(index[i, :]) for i in range(count)]
