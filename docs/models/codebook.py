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


def start(rows, k, key):
    """A codebook of k spread rows (n, d) of the first batch."""
    codes = kmeans_plusplus(rows, k, key=key)
    return Codebook(codes, measure(rows, assign(rows, codes), k))


def learn(xp, book, rows, found, *, decay, least):
    """The codebook after a batch; ``found`` is the assignment of its rows to the codes."""
    past = ClusterStats(*(decay * part for part in book.stats))
    stats = merge_stats(past, measure(rows, found, book.codes.shape[0]))
    stats = revive(xp, stats, rows, found.distances, least)
    return Codebook(update_centroids(stats, book.codes), stats)


def measure(rows, found, k):
    """What one batch says."""
    return cluster_stats(rows, found.labels, k, distances=found.distances)


def revive(xp, stats, rows, distances, least):
    """Codes of which fewer rows than ``least`` are left take the rows with the largest error.

    The least used code takes the worst row. Such a row counts once, so a code that attracts no
    other moves on.
    """
    dead = stats.counts < least
    rank = xp.argsort(xp.argsort(stats.counts, stable=True), stable=True)
    worst = xp.argsort(distances, descending=True, stable=True)
    places = xp.clip(rank, 0, rows.shape[0] - 1)
    taken = xp.take(rows, xp.take(worst, places), axis=0)
    return stats._replace(
        sums=xp.where(dead[:, None], taken, stats.sums),
        counts=xp.where(dead, xp.ones_like(stats.counts), stats.counts),
    )


def perplexity(xp, counts):
    """How many codes are in use: the exponential of the entropy of their shares."""
    shares = counts / xp.sum(counts)
    return xp.exp(-xp.sum(shares * xp.log(xp.where(shares > 0, shares, xp.ones_like(shares)))))
