"""Threads over blocks: the same bits on however many, and no trace left behind."""

import os
from contextlib import contextmanager
from threading import Event

import numpy as np
import pytest

from kmeans_fx._backend import pool
from kmeans_fx._backend.blocks import map_blocks
from kmeans_fx._backend.pool import run_tasks, run_with_help
from kmeans_fx._backend.threads import one_thread, threads

pytestmark = pytest.mark.backend("numpy", "torch")


@contextmanager
def limited(xp, number):
    """A program's surroundings, where the user lets the library have so many threads."""
    with user_limit(xp, number), one_thread(xp.zeros(1)):
        yield


@contextmanager
def user_limit(xp, number):
    if "torch" in xp.__name__:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(number)
        yield
        torch.set_num_threads(before)
    else:
        threadpoolctl = pytest.importorskip("threadpoolctl")
        with threadpoolctl.threadpool_limits(number):
            yield


def test_nobody_waits_for_help_that_does_not_come(xp):
    with limited(xp, 2):
        if threads() < 2:
            pytest.skip("one core")
        elsewhere, done = Event(), Event()

        def busy():
            elsewhere.set()
            assert done.wait(60)

        def lead():
            assert elsewhere.wait(60)
            assert run_with_help(lambda: "all of it", done.set, 2) == "all of it"
            assert not done.is_set()
            done.set()

        run_with_help(lead, busy, 2)


def in_order():
    results = []
    run_tasks(int, range(4), 2, results.append)
    return results


def limit_of(xp):
    with one_thread(xp.zeros(1)):
        return threads()


def sums(rows):
    return (2 * rows,), (rows.sum(axis=0),)


@pytest.fixture
def rows(xp, asarray):
    return asarray(xp, np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float32))


def test_the_number_of_threads_does_not_change_a_bit(xp, rows, to_numpy):
    results = []
    for number in (1, 2, 4):
        with limited(xp, number):
            results.append(map_blocks(sums, (rows,), 16))
    for (doubled,), (total,) in results:
        np.testing.assert_array_equal(to_numpy(doubled), 2 * to_numpy(rows))
        np.testing.assert_array_equal(to_numpy(total), to_numpy(results[0][1][0]))


def test_the_limit_of_the_user_is_kept(xp, rows):
    with user_limit(xp, 2):
        with one_thread(rows):
            map_blocks(sums, (rows,), 16)
        assert limit_of(xp) == min(2, os.cpu_count())
    with user_limit(xp, 1):
        assert limit_of(xp) == 1
    assert threads() == 0


def test_an_error_in_a_thread_reaches_the_caller(xp, rows):
    def fails(part):
        if part.shape[0] < 16:  # the last block
            msg = "from the block"
            raise RuntimeError(msg)
        return (part,), ()

    with limited(xp, 2), pytest.raises(RuntimeError, match="from the block"):
        map_blocks(fails, (rows,), 16)


def test_blocks_within_a_block_do_not_wait_for_their_own_pool(xp, rows, to_numpy):
    def outer(part):
        return map_blocks(sums, (part,), 10)

    with limited(xp, 2):
        (doubled,), _ = map_blocks(outer, (rows,), 500)
    np.testing.assert_array_equal(to_numpy(doubled), 2 * to_numpy(rows))


@pytest.mark.backend("numpy")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside threads: the very case
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the same of JAX, if it was imported
def test_a_forked_child_has_threads_of_its_own(xp, rows):
    with limited(xp, 2):
        assert in_order() == [0, 1, 2, 3]  # the parent's threads are there
        child = os.fork()
        if child == 0:
            os._exit(0 if in_order() == [0, 1, 2, 3] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_help_leaves_the_core_of_the_one_that_it_helps(monkeypatch):
    if pool._core() is None or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core, or a system that does not tell")
    mine, change, changes = os.sched_getaffinity(0), os.sched_setaffinity, []

    def recorded(pid, cores):
        change(pid, cores)
        changes.append((set(cores), pool._core()))

    monkeypatch.setattr(os, "sched_setaffinity", recorded)
    pool._leave(None)
    pool._leave(-1)
    assert not changes
    while not changes:  # the system may move this thread after it asked
        core = pool._core()
        pool._leave(core)
    (others, landed), (restored, _) = changes
    assert others == mine - {core}
    assert landed in others
    assert restored == mine == os.sched_getaffinity(0)
