"""One short call for every row of the capabilities table, and what it should give.

A case maps rows (24, 2), three groups of eight, to arrays of any library. It is smooth there, so
that the same case on NumPy tells the values and, by finite differences, the derivatives.
"""

from functools import cache

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend.capabilities import ROWS
from kmeans_fx._backend.namespace import array_namespace, device


def problems():
    """Rows (3, 24, 2) of three problems, far from zero and from ties."""
    rng = np.random.default_rng(1982)
    centers = np.repeat([[2.0, 1.0], [9.0, 3.0], [4.0, 12.0]], 8, axis=0)
    return centers + rng.normal(size=(3, 24, 2))


def direction():
    """One direction (24, 2) in which to differentiate."""
    return np.random.default_rng(1957).normal(size=(24, 2))


def _starts(x):
    """A row of each group."""
    return x[::8, :]


def _starts_and_nowhere(x):
    """A row of each group, and a centroid too far away to be anyone's nearest."""
    nowhere = 0.0 * x[:1, :] + 1000.0
    return array_namespace(x=x).concat([_starts(x), nowhere], axis=0)


def _weights(x):
    return x[:, 0] ** 2 + 1.0


def _stats(x):
    found = kf.assign(x, _starts(x))
    return kf.cluster_stats(x, found.labels, 3, weights=_weights(x), distances=found.distances)


def _twice(stats):
    """The statistics of two processes with the same rows."""
    return kf.merge_stats(stats, stats)


def _squares(x, y):
    return array_namespace(x=x).sum((x - y) ** 2, axis=-1)


def _spaced(x, k, *, key, weights):
    return x[:: x.shape[0] // k, :][:k, :]


def _learnt(x):
    """A state after a batch, with a centroid that starves."""
    return kf.minibatch_step(x[1::2, :], kf.minibatch_init(_starts_and_nowhere(x)), key=0)


def _kmeans(**options):
    return lambda x: kf.kmeans(x, 3, key=0, **options)


def _lloyd(empty):
    return lambda x: kf.lloyd(x, _starts_and_nowhere(x), empty=empty, key=0)


def _soft(**options):
    return lambda x: kf.soft_kmeans(x, 3, key=0, temperature=5.0, tol=1e-20, **options)


def _soft_of_two(x):
    return _soft(init=_starts(x), reduce=_twice, max_iter=30)(x)


def _near(x):
    """Centroids that are no rows."""
    return _starts(x) + 1.0


def _three(x):
    """Three clusters, of as many as there could be."""
    xp = array_namespace(x=x)
    return xp.asarray(3, device=device(x))


def _there(x):
    """A mask of the values that are there: every tenth is not."""
    xp = array_namespace(x=x)
    index = xp.reshape(xp.arange(x.shape[-2] * 2, device=device(x)), (x.shape[-2], 2))
    return (index + 5) % 10 > 0


def _mixture(x):
    """A mixture of which every array depends on the rows."""
    xp, means = array_namespace(x=x), _near(x)
    eye = xp.eye(2, dtype=x.dtype, device=device(x))
    proportions = _weights(means)
    return kf.MixtureResult(
        means,
        means[:, :, None] * means[:, None, :] / 10.0 + 4.0 * eye,
        proportions / xp.sum(proportions),
        *[None] * 4,
    )


CASES = {
    "pairwise_distances": lambda x: kf.pairwise_distances(x, _starts(x)),
    "assign": lambda x: kf.assign(x, _starts(x) + 1.0),
    "soft_assign": lambda x: kf.soft_assign(x, _starts(x) + 1.0, temperature=10.0),
    "cluster_stats": _stats,
    "merge_stats": lambda x: kf.merge_stats(_stats(x[:12, :]), _stats(x[12:, :])),
    "update_centroids": lambda x: kf.update_centroids(_stats(x), _starts(x)),
    "random_points": lambda x: kf.random_points(x, 3, key=0),
    "random_partition": lambda x: kf.random_partition(x, 3, key=0, weights=_weights(x)),
    "kmeans_plusplus": lambda x: kf.kmeans_plusplus(x, 3, key=0),
    "kmeans_parallel": lambda x: kf.kmeans_parallel(x, 3, key=0),
    "kmeans_coreset": lambda x: kf.kmeans_coreset(x, 3, key=0, size=9),
    "farthest_first": lambda x: kf.farthest_first(x, 3, key=0),
    "lloyd": lambda x: kf.lloyd(x, _starts(x)),
    "lloyd_init": lambda x: kf.lloyd_init(x, _starts(x)),
    "lloyd_step": lambda x: kf.lloyd_step(x, kf.lloyd_init(x, _starts(x))),
    "kmeans": _kmeans(),
    "kmeans, weights": lambda x: kf.kmeans(x, 3, key=0, weights=_weights(x)),
    "kmeans, n_init > 1": _kmeans(n_init=3),
    "kmeans, history": _kmeans(history=True, max_iter=8),
    'kmeans, search="breathing"': _kmeans(search="breathing"),
    'kmeans, metric="euclidean"': _kmeans(metric="euclidean"),
    'kmeans, metric="cosine"': _kmeans(metric="cosine"),
    'kmeans, metric="manhattan"': _kmeans(metric="manhattan"),
    "kmeans, a Metric": _kmeans(metric=kf.Metric(_squares), max_iter=4),
    "kmeans, a callable init": _kmeans(init=_spaced),
    "kmeans, reduce": lambda x: kf.kmeans(
        x, 3, key=0, init=_starts(x), reduce=_twice, empty="keep", max_iter=4
    ),
    "kmeans, k_each": lambda x: kf.kmeans(x, 4, key=0, k_each=_three(x)),
    "kmeans, callback": _kmeans(callback=lambda state: False),
    "kmeans_blocks": lambda x: kf.kmeans_blocks([x[:10, :], x[10:, :]], 3, key=0, labels=True),
    "minibatch_init": lambda x: kf.minibatch_init(_starts(x)),
    "minibatch_step": lambda x: kf.minibatch_step(x[::2, :], _learnt(x), key=0),
    "minibatch_kmeans": lambda x: kf.minibatch_kmeans(x, 3, key=0, batch_size=8, max_iter=2),
    "stream_init": lambda x: kf.stream_init(_starts(x)),
    "stream_step": lambda x: kf.stream_step(
        x, kf.stream_init(_starts_and_nowhere(x)), half_life=2, weights=_weights(x)
    ),
    'lloyd, empty="farthest"': _lloyd("farthest"),
    'lloyd, empty="random"': _lloyd("random"),
    'lloyd, empty="split"': _lloyd("split"),
    'lloyd, empty="merge"': _lloyd("merge"),
    'lloyd, empty="keep"': _lloyd("keep"),
    "bisecting_kmeans": lambda x: kf.bisecting_kmeans(x, 3, key=0, tol=0, weights=_weights(x)),
    "balanced_kmeans": lambda x: kf.balanced_kmeans(
        x, 3, key=0, min_size=7, max_size=9, weights=_weights(x), tol=0
    ),
    "kmeans_1d": lambda x: kf.kmeans_1d(x[:, 1:], 3, weights=_weights(x)),
    # Not tol=0: it begins with means, and whether those move is up to rounding.
    "two_level_kmeans": lambda x: kf.two_level_kmeans(x, 3, key=0, n_coarse=2, refine=50, tol=1e-9),
    "trimmed_kmeans": lambda x: kf.trimmed_kmeans(x, 3, trim=0.1, key=0, weights=_weights(x)),
    "masked_kmeans": lambda x: kf.masked_kmeans(x, 3, key=0, mask=_there(x), tol=0),
    "masked_assign": lambda x: kf.masked_assign(x, _near(x), mask=_there(x)),
    "anomaly_scores": lambda x: kf.anomaly_scores(x, kf.kmeans(x, 3, key=0)),
    "anomaly_threshold": lambda x: kf.anomaly_threshold(x[:, 0], weights=_weights(x)),
    "soft_kmeans": _soft(),
    'soft_kmeans, gradient="unrolled"': _soft(gradient="unrolled", max_iter=3),
    "soft_kmeans, reduce": _soft_of_two,
    "fuzzy_cmeans": lambda x: kf.fuzzy_cmeans(x, 3, key=0, tol=1e-20),
    "fuzzy_assign": lambda x: kf.fuzzy_assign(x, _near(x)),
    "straight_through_assign": lambda x: kf.straight_through_assign(x, _near(x), temperature=10.0),
    "gumbel_assign": lambda x: kf.gumbel_assign(x, _near(x), key=0, temperature=10.0),
    "sinkhorn_assign": lambda x: kf.sinkhorn_assign(x, _near(x), temperature=30.0, tol=1e-11),
    "gaussian_mixture": lambda x: kf.gaussian_mixture(x, 3, key=0),
    "mixture_init": lambda x: kf.mixture_init(x, _starts(x)),
    "mixture_step": lambda x: kf.mixture_step(x, kf.mixture_init(x, _starts(x))),
    "mixture_log_prob": lambda x: kf.mixture_log_prob(x, _mixture(x)),
    "mixture_responsibilities": lambda x: kf.mixture_responsibilities(x, _mixture(x)),
    "mixture_bic": lambda x: kf.mixture_bic(x, _mixture(x), weights=_weights(x)),
    "mixture_aic": lambda x: kf.mixture_aic(x, _mixture(x), weights=_weights(x)),
}


def _passed_through(x, base):
    """What has the derivatives of the straight-through case at ``base``: hard plus soft."""

    def soft(x):
        return kf.soft_assign(x, _near(x), temperature=10.0)

    return CASES["straight_through_assign"](base) + soft(x) - soft(base)


# The derivative of these is, by intention, not that of their values.
SURROGATES = {"straight_through_assign": _passed_through}


# What deeper ones are made of is run in a session of its own; all other tests are jitted, too.
PARTS = {
    "jax": ("jit", "vmap", "grad", "jvp"),
    "torch": ("compile", "compile(vmap)", "compile(grad)"),
}
# So is all that is slow to compile, where the deepest works.
SLOW = {"jax": ("hessian",), "torch": ("compile, backward",)}
DEEPEST = {"jax": "jit(vmap(grad))", "torch": "compile(vmap(grad))"}


def claims(backend, transforms):
    """Parameters (row, transform) of all that the table says works."""
    return [
        _cell(backend, row, transform)
        for transform in transforms
        for row in ROWS
        if (backend, transform) not in row.no
    ]


def refusals(backend, *, raises):
    """Parameters (row, transform) of what the table says raises, or has a derivative of zero."""
    return [
        _cell(backend, row, transform)
        for row in ROWS
        for (name, transform), no in row.no.items()
        if name == backend and no.raises == raises
    ]


def _cell(backend, row, transform):
    deepest = (backend, DEEPEST[backend]) not in row.no
    parts = PARTS[backend] + (SLOW[backend] if deepest else ())
    marks = [pytest.mark.part] if transform in parts else []
    return pytest.param(row.call, transform, id=f"{transform}-{row.call}", marks=marks)


def leaves(result):
    """The arrays of a result."""
    return tuple(result) if isinstance(result, tuple) else (result,)


def loss(case):
    """A smooth scalar of all that a case has derivatives of."""

    def scalar(x):
        xp = array_namespace(x=x)
        return sum(xp.sum(leaf**2) for leaf in _smooth(case(x)))

    return scalar


def _smooth(result):
    if isinstance(result, kf.KMeansResult):
        # Three clusters have rows; the place of a fourth need not depend on any.
        return result.centroids[:3, :], result.inertia
    if isinstance(result, (kf.BisectingResult, kf.TrimmedResult)):
        return result.centroids, result.inertia
    if isinstance(result, kf.MiniBatchResult):
        return (result.centroids,)
    if isinstance(result, (kf.LloydState, kf.MiniBatchState, kf.StreamState)):
        return result.centroids, result.origin
    if isinstance(result, kf.Assignment):
        return (result.distances,)
    if isinstance(result, kf.BalancedAssignment):
        return result[:2]
    if isinstance(result, (kf.SoftKMeansResult, kf.FuzzyResult)):
        return result.centroids, result[2]
    if isinstance(result, (kf.MixtureResult, kf.MixtureState)):
        return result.means, result.covariances, result.proportions
    return leaves(result)


@cache
def expected(row):
    """What NumPy says of a row: ``(values, slopes, curvature)``.

    Values and slopes (the loss along the direction) of every problem, and the second derivative
    of the first one.
    """
    case, x = CASES[row], problems()

    def along(member, step):
        surrogate = SURROGATES.get(row, lambda x, base: case(x))
        return float(loss(lambda x: surrogate(x, member))(member + step * direction()))

    values = [np.stack(leaf) for leaf in zip(*(leaves(case(m)) for m in x), strict=True)]
    slopes = [(along(m, 1e-5) - along(m, -1e-5)) / 2e-5 for m in x]
    curvature = (along(x[0], 1e-3) - 2 * along(x[0], 0.0) + along(x[0], -1e-3)) / 1e-6
    return values, np.asarray(slopes), curvature
