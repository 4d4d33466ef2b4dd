"""Streaming k-means against Spark's rule in plain loops, and on data that drift."""

import math

import numpy as np
import pytest

from kmeans_fx import NONFINITE, RUNNING, assign, stream_init, stream_step


def spark(batches, centroids, counts, factor, unit):
    """StreamingKMeansModel.update of Apache Spark, without its splitting."""
    centroids, counts = centroids.copy(), counts.copy()
    for batch in batches:
        labels = [((row - centroids) ** 2).sum(axis=1).argmin() for row in batch]
        counts *= factor if unit == "batches" else factor ** len(batch)
        for label in set(labels):
            rows = batch[np.asarray(labels) == label]
            updated = counts[label] + len(rows)
            share = len(rows) / max(updated, 1e-16)
            counts[label] = updated
            centroids[label] = centroids[label] * (1 - share) + rows.sum(axis=0) * share / len(rows)
    return centroids, counts


def drift(turns=30, n=60, seed=0):
    """Batches of two groups of sd 1, of which one moves by 0.5 in each batch."""
    rng = np.random.default_rng(seed)
    for turn in range(turns):
        x = rng.normal(size=(n, 2))
        x[::2] += [0.5 * turn, 20.0]
        yield x


def follow(batches, starts, **options):
    state = stream_init(starts)
    for batch in batches:
        state = stream_step(batch, state, **options)
    return state


@pytest.mark.parametrize("unit", ["batches", "rows"])
@pytest.mark.parametrize("half_life", [3.0, math.inf])
def test_equals_sparks_rule(xp, asarray, to_numpy, unit, half_life):
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n, 3)) for n in (20, 7, 40)]
    starts, counts = batches[0][:4], np.asarray([2.0, 0.0, 1.0, 5.0])
    half_life *= 1 if unit == "batches" else 10
    state = stream_init(asarray(xp, starts), counts=asarray(xp, counts))
    for batch in batches:
        state = stream_step(asarray(xp, batch), state, half_life=half_life, unit=unit)
    centroids, counts = spark(batches, starts, counts, 0.5 ** (1 / half_life), unit)
    ours = to_numpy(state.centroids) + to_numpy(state.origin)
    np.testing.assert_allclose(ours, centroids, atol=1e-5)
    np.testing.assert_allclose(to_numpy(state.counts), counts, rtol=1e-5)
    assert (int(state.n_iter), int(state.status)) == (3, RUNNING)


def test_the_last_batch_says_how_far_it_was(xp, asarray):
    x = np.random.default_rng(0).normal(size=(40, 2))
    state = stream_init(asarray(xp, x[:3]))
    assert np.isnan(float(state.inertia))
    state = stream_step(asarray(xp, x), state, half_life=1)
    expected = assign(x, x[:3]).distances.mean()
    np.testing.assert_allclose(float(state.inertia), expected, rtol=1e-5)


def test_follows_data_that_drift():
    """Without forgetting, a centroid stays halfway; with it, a few batches behind."""
    starts = np.asarray([[0.0, 0.0], [0.0, 20.0]])
    last = 0.5 * 29
    for half_life, unit, behind in ((1, "batches", 0.5), (60, "rows", 0.5), (4, "batches", 2.6)):
        state = follow(drift(), starts, half_life=half_life, unit=unit)
        ours = state.centroids + state.origin
        # Behind by the moves of a sum of discounts a / (1 - a), of half a unit each.
        np.testing.assert_allclose(ours[1, 0], last - behind, atol=0.5)
        np.testing.assert_allclose(ours[0], 0, atol=0.4)
    still = follow(drift(), starts, half_life=math.inf)
    np.testing.assert_allclose((still.centroids + still.origin)[1, 0], last / 2, atol=0.5)


def test_half_life_zero_remembers_the_batch_alone(xp, asarray, to_numpy):
    x = np.random.default_rng(0).normal(size=(40, 2))
    for unit in ("batches", "rows"):
        state = stream_init(asarray(xp, x[:1]), counts=asarray(xp, [1e6]))
        state = stream_step(asarray(xp, x), state, half_life=0, unit=unit)
        np.testing.assert_allclose(
            to_numpy(state.centroids + state.origin)[0], x.mean(axis=0), atol=1e-5
        )
        np.testing.assert_allclose(to_numpy(state.counts), [40.0])


def test_a_dying_cluster_takes_half_of_the_largest(xp, asarray, to_numpy):
    """It has seen nothing, the rows are at one place with two groups, and it finds one."""
    rng = np.random.default_rng(0)
    starts = np.asarray([[0.0, 0.0], [500.0, 500.0], [30.0, 0.0]])
    state = stream_init(asarray(xp, starts), counts=asarray(xp, [100.0, 1e-9, 50.0]))
    x = rng.normal(size=(200, 2)) * 0.1
    x[::2, 0] += 4
    x[1::2, 0] -= 4
    first = stream_step(asarray(xp, x), state, half_life=math.inf)
    centroids, counts = to_numpy(first.centroids + first.origin), to_numpy(first.counts)
    np.testing.assert_allclose(counts, [150.0, 150.0, 50.0], rtol=1e-5)
    apart = np.abs(centroids[0] - centroids[1]).max()
    assert 1e-4 < apart < 0.1
    state = first
    for _ in range(12):
        state = stream_step(asarray(xp, x), state, half_life=1)
    found = np.sort(to_numpy(state.centroids + state.origin)[:2, 0])
    np.testing.assert_allclose(found, [-4, 4], atol=0.1)


def test_several_die_at_once():
    starts = np.asarray([[0.0], [1e3], [2e3], [3e3]])
    x = np.random.default_rng(0).normal(size=(64, 1))
    state = stream_step(x, stream_init(starts), half_life=1)
    np.testing.assert_allclose(np.sort(state.counts), [16, 16, 16, 16])
    assert len(set(state.centroids[:, 0].tolist())) == 4
    assert np.abs(state.centroids + state.origin).max() < 1


def test_rows_of_weight_zero_are_absent_and_of_weight_two_are_two():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(60, 2)), rng.integers(0, 3, 60) * 1.0
    copies = np.repeat(x, weights.astype(int), axis=0)
    for unit in ("batches", "rows"):
        options = {"half_life": 50, "unit": unit}
        start = stream_step(x, stream_init(x[:4]), **options)
        ours = stream_step(x, start, weights=weights, **options)
        theirs = stream_step(copies, start, **options)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_precise_after_a_long_way():
    """In float32, of data that drift from 0 to 3e4 at a standard deviation of 1."""
    rng = np.random.default_rng(0)
    state = stream_init(np.asarray([[0.0, 0.0], [0.0, 8.0]], dtype=np.float32))
    for turn in range(301):
        x = rng.normal(size=(100, 2)) + 100.0 * turn
        x[::2, 1] += 8
        state = stream_step(x.astype(np.float32), state, half_life=0.1)
    ours = (state.centroids + state.origin).astype(float)
    np.testing.assert_allclose(ours - 3e4, [[0, 0], [0, 8]], atol=0.6)


def test_a_value_that_is_not_finite_is_a_status():
    x = np.asarray([[0.0], [np.nan]])
    assert stream_step(x, stream_init(x[:1]), half_life=1).status == NONFINITE


REFUSED = [
    (lambda x: stream_init(x[0]), "centroids must have shape"),
    (lambda x: stream_init(x, metric="manhattan"), "metric must have a centre"),
    (lambda x: stream_init(x, counts=x[0]), r"counts must have shape \(3,\), got \(2,\)"),
    (lambda x: stream_init(x * np.inf), "centroids must be finite"),
    (lambda x: stream_step(x, stream_init(x), half_life=-1), "half_life must not be negative"),
    (lambda x: stream_step(x, stream_init(x), half_life=1, unit="days"), "unit must be one of"),
    (lambda x: stream_step(x, stream_init(x[:, :1]), half_life=1), "state must have shape"),
    (
        lambda x: stream_step(x, stream_init(x), half_life=1, weights=-x[:, 1]),
        "weights must not be negative",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_an_error_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message), np.errstate(invalid="ignore"):
        call(np.arange(1.0, 7.0).reshape(3, 2))
    with pytest.raises(TypeError, match="half_life must be a number"):
        stream_step(np.ones((3, 2)), stream_init(np.ones((1, 2))), half_life="two")
