"""What is done where a read of a value makes Python wait: few reads, and the same results.

A CPU stands in for the accelerator, and PyTorch counts the reads.
"""

from typing import NamedTuple

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend import namespace
from kmeans_fx._backend.blocks import rows_per_block
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import on_accelerator

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.backend("torch")

READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal")


@pytest.fixture
def apart(monkeypatch):
    """``apart(function)``: its result where a CPU counts as an accelerator without kernels."""

    def run(function):
        with monkeypatch.context() as patch:
            patch.setattr(namespace, "HOSTS", set())
            patch.setenv("KMEANS_FX_KERNELS", "0")
            return function()

    return run


def reads(function):
    """The result, and how many values were read on the way."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        result = function()
    return result, sum(event.name in READS for event in profile.events())


def noise(n=500, d=6, seed=0):
    return torch.asarray(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_stand_in_counts_as_an_accelerator(apart):
    x = noise()
    assert not on_accelerator(x)
    assert apart(lambda: on_accelerator(x))
    assert apart(lambda: rows_per_block(x, 8)) > rows_per_block(x, 8)


@pytest.mark.parametrize(("max_iter", "tol"), [(1, 0), (3, 0), (8, 0), (30, 0), (30, 1e-3)])
def test_a_loop_that_is_looked_at_rarely_ends_where_the_other_does(apart, max_iter, tol):
    x = noise()

    def fit():
        return kf.lloyd(x, x[:9], max_iter=max_iter, tol=tol, history=True, algorithm="lloyd")

    assert_same(apart(fit), fit())


@pytest.mark.parametrize("empty", ["farthest", "random", "split", "merge", "keep"])
def test_empty_clusters_are_filled_in_the_iteration_in_which_they_are_found(apart, empty):
    x = noise()
    start = torch.cat((x[:5], 100.0 + x[:3]))

    def fit():
        return kf.lloyd(x, start, empty=empty, key=0, algorithm="lloyd")

    assert_same(apart(fit), fit())


def test_members_of_a_batch_stop_one_by_one(apart):
    x = noise(600).reshape(4, 150, 6)
    start = torch.cat((x[:, :6], x[:, :1] + torch.tensor([0.0, 0, 50, 50])[:, None, None]), dim=1)

    def fit():
        return kf.lloyd(x, start, algorithm="lloyd", tol=0)

    assert len(set(fit().n_iter.tolist())) > 1
    assert_same(apart(fit), fit())


@pytest.mark.parametrize("empty", ["farthest", "keep"])
def test_iterations_read_nothing_but_one_value_every_few(apart, empty):
    x = noise(2000)

    def fit(max_iter):
        result = kf.lloyd(x, x[:50], tol=0, max_iter=max_iter, empty=empty)
        assert int(result.n_iter) == max_iter
        return result

    _, few = apart(lambda: reads(lambda: fit(4)))
    _, more = apart(lambda: reads(lambda: fit(28)))
    assert more - few <= 4


@pytest.mark.parametrize("init", [kf.kmeans_plusplus, kf.kmeans_parallel, kf.farthest_first])
def test_a_start_reads_no_value_for_a_centroid(apart, init):
    x = noise()
    _, few = apart(lambda: reads(lambda: init(x, 3, key=0)))
    chosen, more = apart(lambda: reads(lambda: init(x, 20, key=0)))
    assert more == few
    assert_same((chosen,), (init(x, 20, key=0),))


class Turn(NamedTuple):
    count: object


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 8, 13])
def test_a_loop_of_a_known_length_is_not_looked_at(apart, steps):
    def count(**bounds):
        start = Turn(torch.zeros(()))
        return while_loop(lambda s: s.count < steps, lambda s: Turn(s.count + 1), start, **bounds)

    assert apart(lambda: count(max_steps=100)).count == steps
    turn, looks = apart(lambda: reads(lambda: count(max_steps=steps, min_steps=steps)))
    assert (turn.count, looks) == (steps, 0)
