"""Blocks of rows: in pieces as in one, on however many threads."""

import numpy as np
import pytest
from array_api_compat import array_namespace, is_jax_array
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx._backend.blocks import map_blocks, rows_per_block


def doubled(rows, share):
    """Twice the rows, and their number, weighted sum and largest block."""
    xp = array_namespace(rows)
    scaled = rows if share is None else rows * share[:, None]
    ones = xp.ones_like(rows[:, 0])
    return (2 * rows, xp.sum(rows, axis=-1)), (xp.sum(scaled, axis=0), xp.sum(ones))


def problem(n=100):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)), rng.random(n)


@pytest.mark.parametrize("size", [1000, 100, 99, 50, 33, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_in_pieces_as_in_one(xp, asarray, to_numpy, size, weighted):
    rows, weights = problem()
    share = asarray(xp, weights) if weighted else None
    outputs, totals = map_blocks(doubled, (asarray(xp, rows), share), size)
    expected = (rows * weights[:, None] if weighted else rows).sum(axis=0)
    np.testing.assert_allclose(to_numpy(outputs[0]), 2 * rows, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(outputs[1]), rows.sum(axis=-1), atol=1e-6)
    np.testing.assert_allclose(to_numpy(totals[0]), expected, atol=1e-5)
    assert float(totals[1]) == 100


@pytest.mark.backend("jax")
@pytest.mark.parametrize("size", [50, 33])
def test_in_pieces_under_jit(xp, asarray, size):
    import jax

    rows, weights = (asarray(xp, a) for a in problem())
    outputs, totals = jax.jit(lambda *a: map_blocks(doubled, a, size))(rows, weights)
    np.testing.assert_allclose(outputs[0], 2 * rows)
    np.testing.assert_allclose(totals[0], xp.sum(rows * weights[:, None], axis=0), atol=1e-5)


def test_blocks_are_no_larger_than_asked(xp, asarray):
    sizes = []

    def block(rows):
        sizes.append(rows.shape[0])
        return (rows,), ()

    x = asarray(xp, problem()[0])
    (same,), totals = map_blocks(block, (x,), 30)
    assert same.shape == x.shape
    assert totals == ()
    assert max(sizes) == 30
    # JAX traces the body once for all whole blocks.
    assert sum(sizes) == 100 or is_jax_array(x)


@given(st.integers(1, 60), st.integers(1, 70))
def test_rows_keep_their_order(n, size):
    rows = np.arange(n)
    (same,), (total,) = map_blocks(lambda part: ((part,), (part.sum(),)), (rows,), size)
    np.testing.assert_array_equal(same, rows)
    assert total == rows.sum()


def test_a_block_holds_what_its_budget_allows():
    x = np.ones(1)
    assert rows_per_block(x, 1024) == 1024
    assert rows_per_block(x, 10**9) == 64
    assert rows_per_block(x, 0) == rows_per_block(x, 1) == 32768
