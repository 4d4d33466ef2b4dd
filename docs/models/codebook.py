"""A codebook that follows its rows: statistics that fade, and unused codes that begin anew.

Pure functions of arrays, the same for NumPy, JAX and PyTorch; ``xp`` is the namespace of the
arrays (``jax.numpy``, ``array_api_compat.torch``).
"""

from typing import Any, NamedTuple

from kmeans_fx import (
    ClusterStats,
    assign,
    cluster_stats,
    kmeans_plusplus,
    merge_stats,
    update_centroids,
)


class Codebook(NamedTuple):
    """Codes (k, d), and the statistics of all batches so far, the older ones faded."""

    codes: Any
    stats: ClusterStats


def start(rows, k, key, reduce=None):
    """A codebook of k spread rows (n, d) of the first batch."""
    codes = kmeans_plusplus(rows, k, key=key, reduce=reduce)
    stats = measure(rows, assign(rows, codes), k)
    return Codebook(codes, stats if reduce is None else reduce(stats))


def learn(xp, book, rows, found, *, decay, least, reduce=None):
    """The codebook after a batch; ``found`` is the assignment of its rows to the codes."""
    past = ClusterStats(*(decay * part for part in book.stats))
    fresh = measure(rows, found, book.codes.shape[0])
    spare = worst_rows(xp, rows, found.distances, book.codes.shape[0])
    if reduce is not None:
        fresh, spare = of_all(xp, fresh, spare, reduce)
    stats = revive(xp, merge_stats(past, fresh), spare, least)
    return Codebook(update_centroids(stats, book.codes), stats)


def of_all(xp, fresh, spare, reduce):
    """The statistics of all processes, and the spare rows of the first: one message."""
    spare = spare if reduce.rank == 0 else xp.zeros_like(spare)
    k = fresh.sums.shape[0]
    sums, *rest = reduce(fresh._replace(sums=xp.concat([fresh.sums, spare], axis=0)))
    return ClusterStats(sums[:k, :], *rest), sums[k:, :]


def measure(rows, found, k):
    """What one batch says."""
    return cluster_stats(rows, found.labels, k, distances=found.distances)


def worst_rows(xp, rows, distances, k):
    """The rows with the largest error, at most k."""
    worst = xp.argsort(distances, descending=True, stable=True)
    return xp.take(rows, worst[: min(k, rows.shape[0])], axis=0)


def revive(xp, stats, spare, least):
    """Codes of which fewer rows than ``least`` are left take the rows with the largest error.

    The least used code takes the worst row. Such a row counts once, so a code that attracts no
    other moves on.
    """
    dead = stats.counts < least
    rank = xp.argsort(xp.argsort(stats.counts, stable=True), stable=True)
    taken = xp.take(spare, xp.clip(rank, 0, spare.shape[0] - 1), axis=0)
    return stats._replace(
        sums=xp.where(dead[:, None], taken, stats.sums),
        counts=xp.where(dead, xp.ones_like(stats.counts), stats.counts),
    )


def perplexity(xp, counts):
    """How many codes are in use: the exponential of the entropy of their shares."""
    shares = counts / xp.sum(counts)
    return xp.exp(-xp.sum(shares * xp.log(xp.where(shares > 0, shares, xp.ones_like(shares)))))
