"""What is done where a read of a value makes Python wait: few reads, and the same results.

A CPU stands in for the accelerator, and PyTorch counts the reads.
"""

import contextlib
from typing import NamedTuple

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend import loop, namespace, transform
from kmeans_fx._backend.blocks import rows_per_block
from kmeans_fx._backend.loop import while_loop
from kmeans_fx._backend.namespace import on_accelerator
from kmeans_fx.algorithms._sweeps import Block, Swept, local_sweep

torch = pytest.importorskip("torch")
# What stands in for an accelerator is compared bit by bit with PyTorch on a CPU.
pytestmark = [pytest.mark.backend("torch"), pytest.mark.usefixtures("alone")]

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


@pytest.mark.parametrize("empty", ["keep", "merge", "split", "farthest"])
def test_a_fit_in_a_graph_makes_all_its_steps_and_ends_where_the_other_does(
    apart, monkeypatch, empty
):
    x = noise(100)
    start = torch.cat((x[:4], 100.0 + x[:1]))

    def fit():
        return kf.lloyd(x, start, empty=empty, max_iter=9, tol=1e-3)

    expected = fit()
    for module in (loop, transform):
        monkeypatch.setattr(module, "is_captured", lambda array: True)
    found, number = apart(lambda: reads(fit))
    assert number == 0
    assert_same(found, expected)


class Engine:
    """In place of `torch.cuda`: tells in which order its streams and events are used."""

    def __init__(self):
        self.told = []

    def Stream(self, place):  # noqa: N802
        return "copies"

    def stream(self, name):
        return contextlib.nullcontext()

    def current_stream(self, place):
        told = self.told

        class Current:
            def wait_event(self, event):
                told.append(("wait", event.number))

        return Current()

    def Event(self):  # noqa: N802
        told = self.told

        class Event:
            number = sum(word == "copied" for word, _ in told)

            def record(self, stream):
                assert stream == "copies"
                told.append(("copied", self.number))

            def synchronize(self):
                told.append(("free", self.number))

        return Event()


def test_blocks_go_through_two_buffers_in_turn(monkeypatch):
    engine, read = Engine(), []
    monkeypatch.setattr(torch, "get_device_module", lambda place: engine)
    x = np.arange(12.0).reshape(6, 2)
    shares = np.arange(6.0)

    def blocks():
        for i in range(6):
            engine.told.append(("read", i))
            yield Block(i, x[i : i + 1], shares[i : i + 1])

    def use(block, kept):
        engine.told.append(("use", block.number))
        read.append((block.rows.tolist(), block.weights.tolist()))
        return Swept(None, None)

    local_sweep(blocks, "cpu")(use, None, merge=None)
    assert read == [([row], [share]) for row, share in zip(x.tolist(), shares, strict=True)]
    at = {word: place for place, word in enumerate(engine.told)}
    for i in range(6):
        assert at["read", i] < at["copied", i] < at["wait", i] < at["use", i]
        if i >= 2:  # a buffer is written when what it held has been copied
            assert at["copied", i - 2] < at["free", i - 2] < at["copied", i]
            assert at["use", i - 2] < at["read", i]  # and no more than one block ahead


@pytest.mark.parametrize("kind", ["memory map", "tensors", "whole numbers"])
def test_blocks_that_are_sent_give_the_result_of_those_that_are_there(tmp_path, kind):
    x = noise(2000).numpy()
    rows, here = x, torch.asarray(x)
    if kind == "memory map":
        np.save(tmp_path / "x.npy", x)
        rows = np.load(tmp_path / "x.npy", mmap_mode="r")
    if kind == "whole numbers":
        rows, here = (a.round().astype(np.int16) for a in (x, x))
        here = torch.asarray(here)
    source = list(here.split(300)) if kind == "tensors" else rows
    size = None if kind == "tensors" else 300
    options = {"key": 0, "max_iter": 5, "labels": True}
    found = kf.kmeans_blocks(source, 9, block_rows=size, device="cpu", **options)
    expected = kf.kmeans_blocks(list(here.split(300)), 9, **options)
    assert_same(found, expected)


def test_what_cannot_be_sent_is_told():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="blocks must be of NumPy or PyTorch"):
        kf.kmeans_blocks([strict.ones((5, 2))], 2, key=0, device="cpu")
