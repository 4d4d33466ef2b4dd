"""Random numbers: jax.random's bits on every backend, all kinds of keys, draws by weight."""

import numpy as np
import pytest
from array_api_compat import is_torch_namespace
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from kmeans_fx._backend import random as kr

# What jax.random 0.10.2 gives for jax.random.key(42).
KEY = [0, 42]
BITS = [2098992034, 2919706841, 2646866425, 2409546199, 1935504149]
SPLIT = [[1832780943, 270669613], [64467757, 2916123636], [2465931498, 255383827]]
FOLD_IN_7 = [2547012911, 1371500959]
RANDINT_10 = [4, 4, 1, 9, 9, 9]
PERMUTATION_10 = [7, 4, 2, 5, 3, 6, 8, 9, 0, 1]
LARGEST = np.float32(1 - 2.0**-23)


@pytest.fixture
def key(xp, device):
    return kr.as_key(42, xp, device)


def test_golden_bits(key, to_numpy):
    np.testing.assert_array_equal(to_numpy(key), KEY)
    np.testing.assert_array_equal(to_numpy(kr.random_bits(key, (5,))), BITS)
    np.testing.assert_array_equal(to_numpy(kr.split(key, 3)), SPLIT)
    np.testing.assert_array_equal(to_numpy(kr.fold_in(key, 7)), FOLD_IN_7)
    np.testing.assert_array_equal(to_numpy(kr.randint(key, (6,), 10)), RANDINT_10)
    np.testing.assert_array_equal(to_numpy(kr.permutation(key, 10)), PERMUTATION_10)


def test_uniform_is_the_upper_23_bits(xp, key, to_numpy, dtype):
    numbers = kr.uniform(key, (5,), dtype)
    assert numbers.dtype == dtype
    np.testing.assert_array_equal(to_numpy(numbers), (np.asarray(BITS) >> 9) * 2.0**-23)


@pytest.mark.backend("jax")
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_equals_jax_random(xp, seed):
    import jax

    theirs, ours = jax.random.key(seed), kr.as_key(seed, xp, None)
    for size in (1, 6, 7):
        np.testing.assert_array_equal(kr.random_bits(ours, (size,)), jax.random.bits(theirs, size))
    np.testing.assert_array_equal(
        kr.split(ours, 5), jax.random.key_data(jax.random.split(theirs, 5))
    )
    folded = jax.random.key_data(jax.random.fold_in(theirs, 2**31 - 1))
    np.testing.assert_array_equal(kr.fold_in(ours, 2**31 - 1), folded)
    uniform = jax.random.uniform(theirs, (3, 4))
    np.testing.assert_array_equal(kr.uniform(ours, (3, 4), xp.float32), uniform)
    for span in (1, 10, 65537, 2**31 - 1):
        drawn = jax.random.randint(theirs, (9,), 0, span)
        np.testing.assert_array_equal(kr.randint(ours, (9,), span), drawn)
    for n in (1, 2, 2000):  # 2000 takes two rounds of sorting
        np.testing.assert_array_equal(kr.permutation(ours, n), jax.random.permutation(theirs, n))


def test_equals_the_bits_of_numpy(xp, key, to_numpy):
    other = kr.as_key(42, np, None)
    for function in (
        lambda k: kr.random_bits(k, (3, 5)),
        lambda k: kr.randint(k, (50,), 1000),
        lambda k: kr.permutation(k, 2000),
        lambda k: kr.random_bits(kr.fold_in(k, 2**33 + 5), (4,)),
    ):
        np.testing.assert_array_equal(to_numpy(function(key)), function(other))


def test_a_batch_of_keys_is_a_loop_over_them(xp, key, to_numpy):
    keys = kr.split(key, 3)
    for function in (
        lambda k: kr.random_bits(k, (2, 4)),
        lambda k: kr.split(k, 2),
        lambda k: kr.fold_in(k, 9),
        lambda k: kr.randint(k, (5,), 10),
        lambda k: kr.permutation(k, 6),
    ):
        batch = to_numpy(function(keys))
        for i in range(3):
            np.testing.assert_array_equal(batch[i], to_numpy(function(keys[i, :])))


def test_permutation_holds_every_number_once(key, to_numpy):
    np.testing.assert_array_equal(np.sort(to_numpy(kr.permutation(key, 1000))), np.arange(1000))


# ---- kinds of keys


@pytest.mark.parametrize("seed", [0, 7, 2**32, 2**40 + 3, 2**64 - 1])
def test_an_int_is_its_two_words(xp, device, to_numpy, seed):
    words = to_numpy(kr.as_key(seed, xp, device))
    np.testing.assert_array_equal(words, [seed >> 32, seed & 0xFFFFFFFF])


def test_an_array_of_two_words_is_the_key(xp, device, asarray, to_numpy):
    for dtype in ("int64", "int32", "uint32"):
        if dtype == "uint32" and is_torch_namespace(xp):
            continue
        words = asarray(xp, np.asarray([3, 2**31 - 1], dtype=dtype))
        np.testing.assert_array_equal(to_numpy(kr.as_key(words, xp, device)), [3, 2**31 - 1])
    # Words of NumPy serve every library.
    foreign = kr.as_key(np.asarray([1, 2**32 - 1], dtype=np.uint32), xp, device)
    np.testing.assert_array_equal(to_numpy(foreign), [1, 2**32 - 1])


def test_a_numpy_generator_gives_one_draw_and_moves_on(xp, device, to_numpy):
    rng = np.random.default_rng(5)
    first, second = (to_numpy(kr.as_key(rng, xp, device)) for _ in range(2))
    expected = np.random.default_rng(5).integers(0, 1 << 32, size=4)
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)


@pytest.mark.backend("torch")
def test_a_torch_generator_gives_one_draw_and_moves_on(xp, to_numpy):
    import torch

    first, again = (torch.Generator().manual_seed(5) for _ in range(2))
    words = [to_numpy(kr.as_key(g, xp, None)) for g in (first, again, again)]
    np.testing.assert_array_equal(words[0], words[1])
    assert np.any(words[1] != words[2])


@pytest.mark.backend("jax")
def test_a_jax_key_is_its_data(xp):
    import jax

    for key in (jax.random.key(2**32 - 1), jax.random.split(jax.random.key(3), 4)):
        np.testing.assert_array_equal(kr.as_key(key, xp, None), jax.random.key_data(key))
        np.testing.assert_array_equal(kr.as_key(key, np, None), jax.random.key_data(key))


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (-1, ValueError),
        (2**64, ValueError),
        (True, TypeError),
        (1.5, TypeError),
        (None, TypeError),
        ("seed", TypeError),
        (np.zeros(2), ValueError),
        (np.zeros(3, dtype=np.int64), ValueError),
        (np.asarray(1), ValueError),
    ],
)
def test_other_keys_are_refused(key, error):
    with pytest.raises(error, match="key must be"):
        kr.as_key(key, np, None)


# ---- choice by weight


def draws_of(asarray, xp, pairs):
    return asarray(xp, np.asarray(pairs, dtype=np.float32))


@pytest.mark.uncompiled
def test_choice_follows_the_weights(xp, asarray, key, to_numpy):
    p = np.asarray([0, 1, 2, 0, 3, 4, 0, 0, 5, 1, 0], dtype=np.float32)
    drawn = to_numpy(kr.choice(kr.uniform(key, (5000, 2), xp.float32), asarray(xp, p)))
    observed = np.bincount(drawn, minlength=p.size)
    assert np.all(observed[p == 0] == 0)
    assert chisquare(observed[p > 0], 5000 * p[p > 0] / p.sum()).pvalue > 0.01


@pytest.mark.uncompiled
@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_choice_reaches_the_ends_and_not_beyond(xp, asarray, to_numpy, n):
    p = asarray(xp, np.ones(n, dtype=np.float32))
    extremes = draws_of(asarray, xp, [[0, 0], [LARGEST, LARGEST]])
    np.testing.assert_array_equal(to_numpy(kr.choice(extremes, p)), [0, n - 1])


def test_choice_of_no_weight_is_the_first(xp, asarray, to_numpy):
    p = asarray(xp, np.zeros(7, dtype=np.float32))
    draws = draws_of(asarray, xp, [[0, 0], [0.5, 0.5], [LARGEST, LARGEST]])
    np.testing.assert_array_equal(to_numpy(kr.choice(draws, p)), [0, 0, 0])


@given(
    arrays(np.float32, st.integers(1, 40), elements=st.sampled_from([0, 0, 0, 1e-20, 0.1, 1, 1e9])),
    arrays(np.float32, (20, 2), elements=st.floats(0, float(LARGEST), width=32)),
)
def test_choice_never_takes_a_weight_of_zero(p, draws):
    drawn = kr.choice(draws, p)
    assert np.all((drawn >= 0) & (drawn < p.size))
    assert np.all(p[drawn] > 0) or not np.any(p > 0)


@pytest.mark.uncompiled
def test_choice_next_to_a_weight_of_zero(xp, asarray, to_numpy):
    """A sum kept as a tree (JAX) may rise, by rounding, at an entry of 0."""
    rng = np.random.default_rng(0)
    size = 317
    for _ in range(12):
        p = np.zeros(size * size, dtype=np.float32)  # all that counts is in the first block
        p[:size] = rng.random(size) * (rng.random(size) < 0.3)
        block = asarray(xp, p[:size])
        steps = to_numpy(xp.cumulative_sum(block)).astype(np.float64) / float(xp.sum(block))
        places = np.round(steps * 2**23)[:, None] + np.arange(-2, 3)
        draws = np.clip(places.reshape(-1) * 2.0**-23, 0, LARGEST)
        drawn = kr.choice(
            draws_of(asarray, xp, np.stack([0 * draws, draws], axis=-1)), asarray(xp, p)
        )
        assert np.all(p[to_numpy(drawn)] > 0)
