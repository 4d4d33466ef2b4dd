"""Rows in half precision: widened exactly, block by block, and by NumPy for other libraries."""

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx import kmeans, metrics
from kmeans_fx._backend import half
from kmeans_fx._backend.half import widened

ALL = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = ALL[np.isfinite(ALL)]


def same_bits(x):
    ours, theirs = widened(x), x.astype(np.float32)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours.view(np.int32), theirs.view(np.int32))


@pytest.mark.backend("numpy")
@pytest.mark.parametrize(
    "x",
    [
        FINITE,
        ALL,  # NaN and infinity among them
        FINITE[:63000].reshape(700, 90)[::3, ::-2],
        FINITE.astype(">f2"),
        FINITE[:0].reshape(0, 3),
    ],
    ids=["finite", "all", "strided", "swapped", "empty"],
)
def test_every_number_keeps_its_value(x):
    x.flags.writeable = False
    same_bits(x)


@pytest.mark.backend("numpy", "torch", "jax")
@pytest.mark.eager
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(xp, asarray, bad):
    x = np.full((9, 2), -6e4, np.float16)  # whose sum is not, either
    x[::2] *= -1
    assert kmeans(asarray(xp, x), 2, key=0).labels.shape == (9,)
    x[4, 1] = bad
    with pytest.raises(ValueError, match="x must be finite"):
        kmeans(asarray(xp, x), 2, key=0)


@pytest.mark.backend("torch")
def test_the_smallest_numbers_are_kept_where_a_thread_flushes_them():
    import torch

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        assert half._flushes(np)
        same_bits(FINITE)
    finally:
        torch.set_flush_denormal(False)
    assert not half._flushes(np)


@pytest.mark.backend("numpy", "torch", "jax")
def test_other_dtypes_stay(xp, asarray):
    for dtype in (None, "float32"):
        x = asarray(xp, [[1.0, 2.0]], dtype)
        assert widened(x) is x
    assert widened(asarray(xp, [[1.0, 2.0]], "float16")).dtype == xp.float32


@pytest.mark.backend("torch", "jax")
@pytest.mark.eager
@pytest.mark.usefixtures("kernels_for_few")
@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_numpy_does_it_for_other_libraries(xp, asarray, to_numpy, monkeypatch, metric):
    rows = np.random.default_rng(3).standard_normal((900, 6)).astype(np.float16)
    plain = kmeans(rows, 5, key=0, metric=metric)
    seen, function = [], half._from_float16

    def spy(xp, x):
        seen.append(x.shape)
        return function(xp, x)

    monkeypatch.setattr(half, "_from_float16", spy)
    fits = [lambda x: kmeans(x, 5, key=0, metric=metric)]
    if "torch" not in xp.__name__:
        import jax

        fits.append(jax.jit(lambda x: kmeans(x, 5, key=0, metric=metric)))
    for fit in fits:
        seen.clear()
        found = fit(asarray(xp, rows))
        np.testing.assert_array_equal(to_numpy(found.labels), plain.labels)
        np.testing.assert_array_equal(to_numpy(found.centroids), plain.centroids)
        assert found.centroids.dtype == xp.float16
        assert found.inertia.dtype == xp.float32
        assert seen


# Of every kind of program that may go to NumPy.
CALLS = {
    "random": lambda x: kmeans(x, 4, key=0, init="random"),
    "kmeans||": lambda x: kf.kmeans_parallel(x, 4, key=0),
    "coreset": lambda x: kf.kmeans_coreset(x, 4, key=0),
    "farthest": lambda x: kf.farthest_first(x, 4, key=0),
    "lloyd": lambda x: kf.lloyd(x, x[:4, :], history=True, empty="split"),
    "weights": lambda x: kf.lloyd(x, x[:4, :], weights=x[:, 0] ** 2),
    "step": lambda x: kf.lloyd_step(x, kf.lloyd_init(x, x[:4, :])),
    "batch": lambda x: kmeans(x[None], 4, key=0),
    "breathing": lambda x: kmeans(x, 4, key=0, search="breathing"),
    "bisecting": lambda x: kf.bisecting_kmeans(x, 4, key=0),
    "trimmed": lambda x: kf.trimmed_kmeans(x, 4, key=0, trim=0.1),
    "balanced": lambda x: kf.balanced_kmeans(x, 4, key=0),
    "minibatch": lambda x: kf.minibatch_kmeans(x, 4, key=0),
    "stream": lambda x: kf.stream_step(x, kf.stream_init(x[:4, :]), half_life=3),
    "soft": lambda x: kf.soft_kmeans(x, 4, key=0),
    "fuzzy": lambda x: kf.fuzzy_cmeans(x, 4, key=0),
    "mixture": lambda x: kf.gaussian_mixture(x, 4, key=0),
    "assign": lambda x: kf.assign(x, x[:4, :]),
    "inertia": lambda x: metrics.inertia(x, kf.assign(x, x[:4, :]).labels, k=4),
    "silhouette": lambda x: metrics.silhouette_score(x, kf.assign(x, x[:4, :]).labels, k=4),
    "davies-bouldin": lambda x: metrics.davies_bouldin_score(x, kf.assign(x, x[:4, :]).labels, k=4),
}


@pytest.mark.backend("torch", "jax")
@pytest.mark.eager
@pytest.mark.usefixtures("kernels_for_few")
@pytest.mark.parametrize("name", CALLS)
def test_results_have_the_dtypes_of_the_portable_form(xp, asarray, portable, name):
    x = asarray(xp, np.random.default_rng(5).standard_normal((400, 3)).astype(np.float16))

    def dtypes(wrap):
        found = wrap(CALLS[name])(x)
        return [field.dtype for field in (found if isinstance(found, tuple) else [found])]

    wraps = [lambda function: function]
    if "torch" not in xp.__name__:
        import jax

        wraps.append(jax.jit)
    plain = portable(lambda: dtypes(wraps[0]))
    assert all(dtypes(wrap) == plain for wrap in wraps)
