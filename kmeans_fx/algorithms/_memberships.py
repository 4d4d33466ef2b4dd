"""Memberships: how much of every row belongs to every cluster, and the means that follow.

Soft and fuzzy k-means are one algorithm with two kinds of them. With s_ij a function of
the distance alone, a row's shares are u_ij = s_ij / sum_l s_il and it pulls on centroid j
with a weight that depends on u_ij.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.pairs import squared_block
from kmeans_fx._backend.transform import stop_gradient
from kmeans_fx._partition import map_rows
from kmeans_fx._ranks import total
from kmeans_fx._soft import positive_part, softmax_and_log
from kmeans_fx.update import ClusterStats, cluster_means, weighted_sum

__all__ = ["KINDS", "Final", "finish", "move"]


class Kind(NamedTuple):
    """A kind of memberships: functions of squared distances (..., n, k) and a parameter.

    ``memberships`` gives shares, pulls (..., n, k) and costs (..., n). ``slopes`` gives
    a_ij, the slope of a pull in log s_ij at a fixed sum, and b_ij, so that a move e of
    centroid j changes log s_ij by b_ij (x_i - c_j) . e. The parameter is above ``bound``.
    """

    memberships: Callable
    slopes: Callable
    bound: float


def _soft(squares, temperature):
    """Rose's: shares are a softmax, and a cost is a free energy."""
    scores = -squares / temperature
    shares, total = softmax_and_log(scores)
    return shares, shares, -temperature[..., 0] * total[..., 0]


def _soft_slopes(squares, temperature):
    shares, _, _ = _soft(squares, temperature)
    return shares, 2.0 / temperature + 0.0 * squares


def _fuzzy(squares, fuzzifier):
    """Bezdek's: shares are powers of distances, and a cost is a weighted distance."""
    xp = array_namespace(squares=squares)
    safe, _ = positive_part(squares, _floor(squares))
    logs = -xp.log(safe) / (fuzzifier - 1.0)
    shares, total = softmax_and_log(logs)
    cost = xp.exp(-(fuzzifier[..., 0] - 1.0) * total[..., 0])
    return shares, xp.exp(fuzzifier * (logs - total)), cost


def _fuzzy_slopes(squares, fuzzifier):
    xp = array_namespace(squares=squares)
    _, pulls, _ = _fuzzy(squares, fuzzifier)
    safe, above = positive_part(squares, _floor(squares))
    steep = 2.0 / (fuzzifier - 1.0) / safe
    return fuzzifier * pulls, xp.where(above, steep, xp.zeros_like(steep))


def _floor(squares):
    """Squares below are rounding: those rows lie on the centroid."""
    xp = array_namespace(squares=squares)
    info = xp.finfo(squares.dtype)
    largest = stop_gradient(xp.max(squares, axis=-1, keepdims=True))
    return xp.clip(largest, 0.0, None) * float(info.eps) + float(info.smallest_normal) * 16


KINDS = {"soft": Kind(_soft, _soft_slopes, 0.0), "fuzzy": Kind(_fuzzy, _fuzzy_slopes, 1.0)}


def move(x, centroids, weights, parameter, space, kind, reduce=None):
    """The means of the rows by their pulls, total pulls (..., k), and the objective (...).

    The centroids are relative to the origin; one that nothing pulls stays.
    """
    xp = array_namespace(x=x)
    memberships = KINDS[kind].memberships
    parameter = parameter[..., None, None]

    def block(part, share):
        rows = space.rows(part)
        _, pulls, costs = memberships(squared_block(rows, centroids), parameter)
        pulls = pulls if share is None else pulls * share[..., None]
        sums = xp.matmul(xp.matrix_transpose(pulls), rows)
        return (), (sums, xp.sum(pulls, axis=-2), weighted_sum(xp, costs, share))

    columns = 4 * centroids.shape[-2] + 3 * x.shape[-1]
    _, totals = map_rows(block, (x, weights), centroids, columns, space.chunk_size)
    stats = ClusterStats(*totals)
    stats = stats if reduce is None else reduce(stats)
    return cluster_means(xp, stats, centroids), stats.counts, stats.inertia


class Final(NamedTuple):
    """What is reported of the rows."""

    labels: Any
    objective: Any


def finish(x, centroids, weights, parameter, space, kind, reduce=None):
    """Labels, and the objective by distances of which nothing is cancelled."""
    xp = array_namespace(x=x)
    memberships = KINDS[kind].memberships
    parameter, absolute = parameter[..., None, None], space.absolute(centroids)

    def block(part, share):
        rows = xp.astype(part, absolute.dtype, copy=False)
        far = space.metric.distance(rows[..., :, None, :], absolute[..., None, :, :])
        _, _, costs = memberships(far, parameter)
        return (xp.argmin(far, axis=-1),), (weighted_sum(xp, costs, share),)

    columns = centroids.shape[-2] * (x.shape[-1] + 4)
    (labels,), (objective,) = map_rows(block, (x, weights), centroids, columns, space.chunk_size)
    return Final(labels, total(objective[..., None], reduce)[..., 0])
