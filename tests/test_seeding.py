"""k-means++ in passes that skip rows: the portable draws and choices, compiled and as products."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_fx import _pruned_sampling, kmeans_plusplus
from kmeans_fx._backend import kernels
from kmeans_fx._backend.kernels import product_tiles, products
from kmeans_fx._partition import centred_space
from kmeans_fx._pruned_sampling import PrunedReach
from kmeans_fx.distances import as_metric
from tests.parameters import HARD_KINDS, hard_rows

ON_NUMPY = pytest.mark.backend("numpy")
KINDS = st.sampled_from(["normal", *HARD_KINDS])


@pytest.fixture(scope="module", params=["products", "fused"])
def module(request):
    """The kernels as array programs and, where Numba is there, compiled."""
    if request.param == "products":
        return products
    pytest.importorskip("numba")
    return importlib.import_module("kmeans_fx._backend.kernels.fused")


@pytest.fixture
def calls(monkeypatch, module):
    """The shapes of the candidates that these kernels were given, however few the rows."""
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 0)
    monkeypatch.setattr(kernels, "_has_numba", lambda: module is not products)
    monkeypatch.delenv("KMEANS_FX_KERNELS", raising=False)
    seen, function = [], module.candidates_of

    def spy(rows, *rest):
        seen.append(rows.shape)
        return function(rows, *rest)

    monkeypatch.setattr(module, "candidates_of", spy)
    return seen


@pytest.mark.backend("numpy", "torch", "jax")
@pytest.mark.eager
@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("n_trials", [1, 4, 11])
def test_the_rows_are_those_of_the_portable_form(
    xp, asarray, to_numpy, monkeypatch, calls, offset, n_trials
):
    rng = np.random.default_rng(4)
    middles = 30.0 * rng.standard_normal((9, 3))
    rows = middles[rng.integers(9, size=900)] + rng.standard_normal((900, 3)) + offset
    x = asarray(xp, rows.astype(np.float32))
    weights = asarray(xp, rng.integers(0, 3, size=900).astype(np.float32))

    def seeds():
        return to_numpy(kmeans_plusplus(x, 20, key=7, weights=weights, n_trials=n_trials))

    found = seeds()
    assert calls
    calls.clear()
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 1 << 16)
    np.testing.assert_array_equal(found, seeds())
    assert not calls


@ON_NUMPY
@given(KINDS, st.integers(2, 200), st.integers(1, 40), st.integers(1, 17), st.integers(0, 99))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_row_that_a_candidate_comes_near_to_is_skipped(module, dtype, kind, n, d, t, seed):
    rng = np.random.default_rng(seed)
    x = hard_rows(kind, n, d, rng).astype(dtype)
    weights = rng.integers(0, 3, size=n).astype(dtype) if seed % 2 else None
    share = np.ones(n) if weights is None else weights
    trials = x[rng.integers(n, size=(6, t))]
    space = centred_space(x, None, as_metric("sqeuclidean"), None)

    def squares(row):
        return ((x - row) ** 2).sum(1)

    chosen, exact = trials[:1, 0], squares(trials[0, 0])
    state = PrunedReach(module, x, weights, space, exact.copy())
    # Products are expanded about the first row, of rows that may be four times as far from zero.
    terms = exact + 5 * exact.max() if module is products else 0
    for turn, candidates in enumerate(trials[1:], start=1):
        gains = state.gains(candidates, chosen)
        want = [np.sum(share * np.maximum(exact - squares(row), 0)) for row in candidates]
        room = 64 * np.finfo(dtype).eps * np.sum(share * (exact + terms))
        np.testing.assert_allclose(gains, want, rtol=1e-4, atol=room)
        best = int(np.argmax(gains))
        state.shrink(candidates[best], turn, best)
        chosen = np.concatenate((chosen, candidates[best : best + 1]))
        exact = np.minimum(exact, squares(candidates[best]))
        np.testing.assert_allclose(state.reach, exact, rtol=1e-5)
        assert np.all(state.reach[exact == 0] == 0)


@ON_NUMPY
def test_rows_near_a_chosen_one_are_skipped(module):
    rng = np.random.default_rng(1)
    middles = 50.0 * rng.standard_normal((30, 8))
    x = middles[np.arange(6000) % 30] + rng.standard_normal((6000, 8))
    space = centred_space(x, None, as_metric("sqeuclidean"), None)
    state = PrunedReach(module, x, None, space, ((x - x[0]) ** 2).sum(1))
    for turn in range(1, 30):
        state.gains(x[turn : turn + 1], x[:turn])
        state.shrink(x[turn], turn, 0)
    # Of a row that is skipped the flags are off, even if the candidate were the row itself.
    state.gains(x[30:31] + 0.5, x[:30])
    assert sum(int(np.count_nonzero(closer)) for *_, closer in state.blocks) <= 200


@ON_NUMPY
@pytest.mark.parametrize("weighted", [False, True])
def test_the_number_of_threads_does_not_change_a_draw(monkeypatch, calls, weighted):
    monkeypatch.setattr("kmeans_fx._backend.threads._FEWEST_ROWS", 1000)
    monkeypatch.setattr(_pruned_sampling, "_FEWEST_ROWS", 1000)
    monkeypatch.setattr(product_tiles, "_MOST_ROWS", 700)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((9000, 20))
    weights = rng.integers(0, 3, size=9000).astype(float) if weighted else None
    draws = []
    for number in (1, 2, 5):
        monkeypatch.setattr(_pruned_sampling, "threads", lambda number=number: number)
        draws.append(kmeans_plusplus(x, 30, key=1, weights=weights))
    assert len(calls) == 3 * 29
    for draw in draws[1:]:
        np.testing.assert_array_equal(draw, draws[0])


@ON_NUMPY
def test_threads_that_are_awake_choose_as_those_that_are_woken(monkeypatch, calls):
    x = np.random.default_rng(3).standard_normal((20_000, 3))
    draws = []
    for most in (0, 1 << 18):
        monkeypatch.setattr(_pruned_sampling, "_MOST_ROWS", most)
        draws.append(kmeans_plusplus(x, 40, key=1))
    assert len(calls) == 2 * 39
    np.testing.assert_array_equal(*draws)
