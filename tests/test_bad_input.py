"""Bad input: an error that names the argument, or a status where values cannot be read."""

import numpy as np
import pytest
from array_api_compat import is_jax_namespace

import kmeans_fx as kf
from kmeans_fx import CONVERGED, NONFINITE, kmeans, lloyd

X = np.arange(12.0).reshape(6, 2)
START = X[:2]
NEGATIVE = np.asarray([1.0, 1.0, -1.0, 1.0, 1.0, 1.0])


def spoiled(value):
    x = X.copy()
    x[3, 1] = value
    return x


# ---- shapes and sizes

SHAPES = [
    (lambda a: kmeans(a(X[:, 0]), 2, key=0), r"x must have shape \(..., n, d\), got \(6,\)"),
    (lambda a: lloyd(a(X[:, 0]), a(START)), "x must have shape"),
    (lambda a: kf.assign(a(X[0, 0]), a(START)), "x must have shape"),
    (lambda a: kmeans(a(X[:0]), 2, key=0), "x must not be empty"),
    (lambda a: kmeans(a(X[:, :0]), 2, key=0), "x must not be empty"),
    (lambda a: kmeans(a(X), 0, key=0), "k must be at least 1, got 0"),
    (lambda a: kmeans(a(X), -3, key=0), "k must be at least 1, got -3"),
    (lambda a: kmeans(a(X), 7, key=0), "k must be at most the number of rows, 6, got 7"),
    (lambda a: lloyd(a(X[:1]), a(START)), "centroids must be at most as many as rows, 1, got 2"),
    (lambda a: lloyd(a(X), a(START[:, :1])), r"centroids must have shape \(..., k, 2\)"),
    (lambda a: kf.assign(a(X), a(START[:, :1])), r"centroids must have shape \(..., k, 2\)"),
    (lambda a: kf.pairwise_distances(a(X), a(START[0])), "centroids must have shape"),
    (lambda a: kf.assign(a(np.stack([X, X])), a(np.stack([START] * 3))), "dimensions of centroids"),
    (lambda a: kmeans(a(X), 2, key=0, init=a(X[:3])), "init must give k = 2 centroids, got 3"),
    (lambda a: kmeans(a(X), 2, key=0, init=a(START[:, :1])), "init must have shape"),
    (
        lambda a: kmeans(a(X), 2, key=0, weights=a(np.ones(5))),
        r"weights must have shape \(..., 6\)",
    ),
    (lambda a: lloyd(a(X), a(START), weights=a(np.ones((3, 1)))), "weights must have shape"),
    (lambda a: kmeans(a(X), 2, key=0, n_init=0), "n_init must be at least 1, got 0"),
    (lambda a: kmeans(a(X), 2, key=0, max_iter=0), "max_iter must be at least 1, got 0"),
    (lambda a: kmeans(a(X), 2, key=0, chunk_size=0), "chunk_size must be at least 1, got 0"),
    (lambda a: kmeans(a(X), 2, key=0, tol=-1e-4), "tol must be finite and not negative"),
    (lambda a: kmeans(a(X), 2, key=0, init=a(START), n_init=2), "n_init must be 1"),
    (lambda a: kmeans(a(X), 2, key=-1), "key must be between 0 and"),
    (lambda a: kf.cluster_stats(a(X), a(np.zeros(5, dtype=int)), 2), "labels must have shape"),
    (lambda a: kf.soft_assign(a(X), a(START), temperature=0.0), "temperature must be positive"),
]

# ---- names

NAMES = [
    (lambda a: kmeans(a(X), 2, key=0, init="kmeans++"), r"init must be one of .* 'kmeans\+\+'"),
    (lambda a: kmeans(a(X), 2, key=0, metric="l2"), "metric must be one of sqeuclidean.*'l2'"),
    (lambda a: lloyd(a(X), a(START), metric="l2"), "metric must be one of"),
    (lambda a: kf.assign(a(X), a(START), metric="l2"), "metric must be one of"),
    (lambda a: kf.kmeans_plusplus(a(X), 2, key=0, metric="l2"), "metric must be one of"),
    (lambda a: lloyd(a(X), a(START), empty="drop"), "empty must be one of 'farthest'.*'drop'"),
    (lambda a: lloyd(a(X), a(START), empty="random"), 'key must be given for empty="random"'),
    (
        lambda a: lloyd(a(X), a(START), reduce=lambda s: s),
        "empty must be 'split', 'merge' or 'keep'",
    ),
    (lambda a: kmeans(a(X), 2, key=0, reduce=lambda s: s, empty="keep"), "reduce must have a rank"),
]

# ---- kinds

KINDS = [
    (lambda a: kmeans(X.tolist(), 2, key=0), "x must be an array, got list"),
    (lambda a: lloyd(a(X), START.tolist()), "centroids must be an array, got list"),
    (lambda a: kmeans(a(X), 2, key=0, weights=[1.0] * 6), "weights must be an array, got list"),
    (lambda a: kmeans(a(X), 2, key=0, init=START.tolist()), "init must be an array, got list"),
    (lambda a: kf.cluster_stats(a(X), [0] * 6, 2), "labels must be an array, got list"),
    (lambda a: kmeans(a(X, "complex64"), 2, key=0), "x must have a real, integer or boolean dtype"),
    (lambda a: lloyd(a(X), a(START, "complex64")), "centroids must have a real"),
    (
        lambda a: kmeans(a(X), 2, key=0, weights=a(np.ones(6), "complex64")),
        "weights must have a real",
    ),
    (lambda a: kf.cluster_stats(a(X), a(np.ones(6)), 2), "labels must have an integer dtype"),
    (lambda a: kmeans(a(X), 2.0, key=0), "k must be an integer, got float"),
    (lambda a: kmeans(a(X), "2", key=0), "k must be an integer, got str"),
    (lambda a: kmeans(a(X), 2, key=None), "key must be an int"),
    (lambda a: kmeans(a(X), 2, key=0.5), "key must be an int"),
    (lambda a: kmeans(a(X), 2, key=0, tol="x"), "tol must be a number or a stopping rule"),
    (lambda a: kmeans(a(X), 2, key=0, metric=min), "metric must be a name or a Metric"),
    (lambda a: kmeans(a(X), 2, key=0, max_iter=1.5), "max_iter must be an integer, got float"),
]

# ---- values

VALUES = [
    (lambda a: kmeans(a(spoiled(np.nan)), 2, key=0), "x must be finite"),
    (lambda a: kmeans(a(spoiled(np.inf)), 2, key=0), "x must be finite"),
    (lambda a: lloyd(a(spoiled(-np.inf)), a(START)), "x must be finite"),
    (lambda a: lloyd(a(X), a(spoiled(np.nan)[2:4])), "centroids must be finite"),
    (lambda a: kf.assign(a(spoiled(np.nan)), a(START)), "x must be finite"),
    (lambda a: kf.random_points(a(spoiled(np.nan)), 2, key=0), "x must be finite"),
    (lambda a: kmeans(a(X), 2, key=0, init=a(spoiled(np.nan)[2:4])), "init must be finite"),
    (lambda a: kmeans(a(X), 2, key=0, weights=a(NEGATIVE)), "weights must not be negative"),
    (lambda a: lloyd(a(X), a(START), weights=a(NEGATIVE)), "weights must not be negative"),
    (lambda a: kmeans(a(X), 2, key=0, weights=a(np.zeros(6))), "weights must not all be zero"),
    (lambda a: kmeans(a(X), 2, key=0, weights=a(X[:, 0] * np.nan)), "weights must be finite"),
    (
        lambda a: lloyd(a(X), a(START), weights=a(np.stack([NEGATIVE * 0, X[:, 1]]))),
        "not all be zero",
    ),
]


@pytest.mark.parametrize(("call", "message"), [*SHAPES, *NAMES, *VALUES])
def test_wrong_values_are_named(xp, asarray, call, message):
    with pytest.raises(ValueError, match=message):
        call(lambda values, dtype=None: asarray(xp, values, dtype))


@pytest.mark.parametrize(("call", "message"), KINDS)
def test_wrong_types_are_named(xp, asarray, call, message):
    with pytest.raises(TypeError, match=message):
        call(lambda values, dtype=None: asarray(xp, values, dtype))


@pytest.mark.backend("array-api-strict", "jax", "torch")
def test_mixed_libraries_are_named(xp, asarray):
    x = asarray(xp, X)
    for name, call in {
        "centroids": lambda: lloyd(x, START),
        "weights": lambda: kmeans(x, 2, key=0, weights=np.ones(6)),
        "init": lambda: kmeans(x, 2, key=0, init=START),
        "labels": lambda: kf.cluster_stats(x, np.zeros(6, dtype=int), 2),
        "distances": lambda: kf.cluster_stats(
            x, asarray(xp, np.zeros(6, dtype=int)), 2, distances=np.ones(6)
        ),
    }.items():
        with pytest.raises(TypeError, match=f"{name} must be an array of the same library as x"):
            call()


@pytest.mark.backend("array-api-strict")
def test_mixed_devices_are_named(xp, asarray):
    with pytest.raises(ValueError, match="centroids must be on the device of x"):
        lloyd(asarray(xp, X), xp.asarray(START))


# ---- where values cannot be read


def traced(xp, function):
    """Call under jit on JAX, under vmap on PyTorch: the set of statuses that come back."""
    if is_jax_namespace(xp):
        import jax

        jitted = jax.jit(lambda *arrays: function(*arrays).status)
        return lambda *arrays: {int(jitted(*arrays))}
    import torch

    mapped = torch.vmap(lambda *arrays: function(*arrays).status)
    return lambda *arrays: set(mapped(*(torch.stack([a, a]) for a in arrays)).tolist())


@pytest.mark.backend("jax", "torch")
def test_a_traced_call_reports_values_that_are_not_finite(xp, asarray):
    start, ones = asarray(xp, START), asarray(xp, np.ones(6))
    calls = [
        traced(xp, lambda x, c, w: kmeans(x, 2, key=0)),
        traced(xp, lambda x, c, w: lloyd(x, c)),
        traced(xp, lambda x, c, w: lloyd(x, x[:2], weights=w)),
        traced(xp, lambda x, c, w: lloyd(x, c, metric="manhattan")),
    ]
    for call in calls:
        assert call(asarray(xp, X), start, ones) == {CONVERGED}
        for value in (np.nan, np.inf, -np.inf):
            assert call(asarray(xp, spoiled(value)), start, ones) == {NONFINITE}


@pytest.mark.backend("jax", "torch")
def test_a_traced_call_reports_weights_that_are_no_weights(xp, asarray):
    call = traced(xp, lambda x, w: kmeans(x, 2, key=0, weights=w))
    assert call(asarray(xp, X), asarray(xp, NEGATIVE**2)) == {CONVERGED}
    for weights in (NEGATIVE, np.zeros(6), NEGATIVE * np.inf, NEGATIVE * np.nan):
        assert call(asarray(xp, X), asarray(xp, weights)) == {NONFINITE}


@pytest.mark.backend("jax", "torch")
def test_a_traced_call_reports_centroids_that_are_not_finite(xp, asarray):
    call = traced(xp, lambda x, c: lloyd(x, c, empty="keep"))
    assert call(asarray(xp, X), asarray(xp, spoiled(np.nan)[2:4])) == {NONFINITE}


@pytest.mark.backend("jax", "torch")
def test_a_traced_call_takes_no_callback(xp, asarray):
    call = traced(xp, lambda x: kmeans(x, 2, key=0, callback=print))
    with pytest.raises(ValueError, match="callback needs an eager call"):
        call(asarray(xp, X))


def test_squares_that_overflow_are_reported(xp, asarray):
    """The data is finite, its inertia in float32 is not."""
    x = asarray(xp, X * 1e30, "float32")
    with np.errstate(all="ignore"):
        assert int(kmeans(x, 1, key=0).status) == NONFINITE


def test_a_sum_that_overflows_is_finite_data(xp, asarray):
    x, start = np.full((6, 2), 3e38), asarray(xp, [[1.0, 1.0]], "float32")
    with np.errstate(all="ignore"):
        assert int(lloyd(asarray(xp, x, "float32"), start).status) == NONFINITE
        x[2, 1] = -np.inf
        with pytest.raises(ValueError, match="x must be finite"):
            lloyd(asarray(xp, x, "float32"), start)


@pytest.mark.backend("jax")
@pytest.mark.eager
def test_constants_of_a_jitted_function_need_no_check(xp):
    """Their values could be read, but not what is computed from them under a trace."""
    import jax

    x, start, weights = (xp.asarray(a, dtype=xp.float32) for a in (X, START, np.ones(6)))
    fit = jax.jit(lambda x: lloyd(x, start, weights=weights))
    assert int(fit(x).status) == CONVERGED
    assert jax.jit(lambda x: kf.soft_assign(x, start))(x).shape == (6, 2)
