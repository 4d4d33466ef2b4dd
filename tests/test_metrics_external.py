"""Scores of two labelings: scikit-learn's values and edge cases, symmetry, weights, jit."""

import math
import tracemalloc

import numpy as np
import pytest
from array_api_compat import is_jax_namespace
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn import datasets
from sklearn import metrics as sk
from sklearn.metrics import cluster as sk_cluster

from kmeans_fx import metrics
from kmeans_fx.metrics._expected import expected_mutual_information
from tests.parameters import uncompiled

SCORES = [
    "rand_score",
    "adjusted_rand_score",
    "mutual_info_score",
    "normalized_mutual_info_score",
    "adjusted_mutual_info_score",
    "homogeneity_score",
    "completeness_score",
    "v_measure_score",
    "fowlkes_mallows_score",
    "homogeneity_completeness_v_measure",
]
MATRICES = ["contingency_matrix", "pair_confusion_matrix"]
SYMMETRIC = [*SCORES[:5], *SCORES[7:9]]
WEIGHTED = [name for name in SCORES + MATRICES if name != "adjusted_mutual_info_score"]
lazy_xp_modules = [metrics]
for name in [*SCORES, *MATRICES, "match_labels"]:
    lazy_xp_function(getattr(metrics, name))

RNG = np.random.default_rng(1985)
N = 60
RANDOM = RNG.integers(4, size=N), RNG.integers(6, size=N)


def quantiles(load, k):
    """The classes of a data set, and its rows in k groups by their first principal axis."""
    x, classes = load(return_X_y=True)
    along = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0][:, 0]
    return classes, np.argsort(np.argsort(along)) * k // len(x)


PAIRS = {
    "random": RANDOM,
    "related": (RANDOM[0], np.where(RNG.random(N) < 0.7, RANDOM[0], RANDOM[1])),
    "not contiguous": (RANDOM[0] * 17 - 20, RANDOM[1] * 1000),
    "the same, renamed": (RANDOM[0], 3 - RANDOM[0]),
    "one cluster each": (np.zeros(9, int), np.ones(9, int)),
    "one class": (np.zeros(9, int), np.arange(9) % 3),
    "one cluster": (np.arange(9) % 3, np.zeros(9, int)),
    "all alone": (np.arange(9), np.arange(9)[::-1]),
    "classes against all alone": (np.arange(9) % 2, np.arange(9)),
    "two rows": (np.array([0, 1]), np.array([0, 0])),
    "one row": (np.array([3]), np.array([5])),
    "empty": (np.zeros(0, int), np.zeros(0, int)),
    "digits": quantiles(datasets.load_digits, 12),
    "iris": quantiles(datasets.load_iris, 3),
    "wine": quantiles(datasets.load_wine, 4),
}
# The pairs of JAX, which compiles anew for every length.
FEW = ["random", "empty"]


def theirs(name, true, pred, **options):
    if len(true) == 0 and name == "mutual_info_score":
        return 0.0  # scikit-learn takes the logarithm of 0
    function = getattr(sk, name, None) or getattr(sk_cluster, name)
    with np.errstate(all="ignore"):
        return function(true, pred, **options)


def close(ours, expected, to_numpy, rtol=1e-6):
    ours = [to_numpy(a) for a in ours] if isinstance(ours, tuple) else to_numpy(ours)
    assert np.shape(ours) == np.shape(expected)
    np.testing.assert_allclose(ours, expected, rtol=rtol, atol=rtol)


@pytest.mark.x64
@pytest.mark.eager
@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn: as many classes as rows
@pytest.mark.parametrize("name", SCORES + MATRICES)
@pytest.mark.parametrize("pair", [*FEW, *uncompiled(*(p for p in PAIRS if p not in FEW))])
def test_equals_scikit_learn(xp, asarray, to_numpy, name, pair):
    true, pred = PAIRS[pair]
    ours = getattr(metrics, name)(asarray(xp, true), asarray(xp, pred))
    close(ours, theirs(name, true, pred), to_numpy, 1e-9)


@pytest.mark.x64
@pytest.mark.parametrize("pair", ["random", *uncompiled("one cluster", "digits")])
@pytest.mark.parametrize("name", SCORES)
def test_static_number_of_labels(xp, asarray, to_numpy, name, pair):
    """Jitted on JAX; labels that nothing has do not matter."""
    true, pred = PAIRS[pair]
    ours = getattr(metrics, name)(asarray(xp, true), asarray(xp, pred), n_labels=13)
    close(ours, theirs(name, true, pred), to_numpy, 1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_default_types_of_the_library(xp, asarray, to_numpy, name):
    """On JAX in 32 bits."""
    true, pred = PAIRS["related"]
    ours = getattr(metrics, name)(asarray(xp, true), asarray(xp, pred), n_labels=6)
    close(ours, theirs(name, true, pred), to_numpy, 1e-5)


def test_static_contingency_matrix(xp, asarray, to_numpy):
    true, pred = RANDOM
    ours = to_numpy(metrics.contingency_matrix(asarray(xp, true), asarray(xp, pred), n_labels=7))
    assert ours.shape == (7, 7)
    np.testing.assert_array_equal(ours[:4, :6], theirs("contingency_matrix", true, pred))
    assert ours.sum() == N


@pytest.mark.x64
@pytest.mark.parametrize("average", ["min", "geometric", "arithmetic", "max"])
@pytest.mark.parametrize("name", ["normalized_mutual_info_score", "adjusted_mutual_info_score"])
@pytest.mark.parametrize("pair", ["random", "one class", "one cluster each"])
def test_averages(asarray, to_numpy, name, average, pair):
    true, pred = PAIRS[pair]
    ours = getattr(metrics, name)(true, pred, average_method=average)
    close(ours, theirs(name, true, pred, average_method=average), np.asarray, 1e-9)


def test_options_of_scikit_learn():
    true, pred = PAIRS["related"]
    for beta in (0.2, 3.0):
        expected = theirs("v_measure_score", true, pred, beta=beta)
        assert float(metrics.v_measure_score(true, pred, beta=beta)) == pytest.approx(expected)
    matrix = metrics.contingency_matrix(true, pred, eps=0.5)
    np.testing.assert_array_equal(matrix, theirs("contingency_matrix", true, pred, eps=0.5))
    shared = metrics.mutual_info_score(
        None, None, contingency=metrics.contingency_matrix(true, pred)
    )
    assert float(shared) == pytest.approx(theirs("mutual_info_score", true, pred))
    as_keywords = metrics.adjusted_rand_score(labels_true=true, labels_pred=pred)
    assert float(as_keywords) == pytest.approx(theirs("adjusted_rand_score", true, pred))


@pytest.mark.parametrize("name", WEIGHTED)
def test_weight_m_is_m_copies_and_zero_is_absent(xp, asarray, to_numpy, name):
    true, pred = PAIRS["related"]
    counts = np.random.default_rng(3).integers(0, 4, size=N)
    function, options = getattr(metrics, name), {"n_labels": 6}
    weights = asarray(xp, counts * 1.0)
    ours = function(asarray(xp, true), asarray(xp, pred), weights=weights, **options)
    copies = [asarray(xp, np.repeat(labels, counts)) for labels in (true, pred)]
    expected = function(*copies, **options)
    expected = (
        [to_numpy(e) for e in expected] if isinstance(expected, tuple) else to_numpy(expected)
    )
    close(ours, expected, to_numpy, 1e-5)


@pytest.mark.parametrize(
    "name", ["mutual_info_score", "normalized_mutual_info_score", "v_measure_score"]
)
def test_a_common_factor_does_not_change_information(name):
    true, pred = PAIRS["related"]
    weights = np.random.default_rng(4).random(N)
    function = getattr(metrics, name)
    one, other = (function(true, pred, weights=w) for w in (weights, 1e6 * weights))
    np.testing.assert_allclose(one, other, rtol=1e-9)


labelings = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-3, 5), min_size=n, max_size=n)] * 2)
)


@given(labelings, st.permutations(range(9)), st.integers(0, 99))
def test_names_and_order_do_not_matter(pair, names, seed):
    true, pred = (np.asarray(labels) for labels in pair)
    renamed = np.asarray(names)[pred + 3] * 7 - 11
    order = np.random.default_rng(seed).permutation(len(true))
    for name in SCORES:
        function = getattr(metrics, name)
        expected = np.asarray(function(true, pred))
        np.testing.assert_allclose(function(true[order], renamed[order]), expected, atol=1e-9)


@given(labelings)
def test_symmetry(pair):
    true, pred = (np.asarray(labels) for labels in pair)
    for name in SYMMETRIC:
        function = getattr(metrics, name)
        np.testing.assert_allclose(function(true, pred), function(pred, true), atol=1e-9)
    homogeneity = metrics.homogeneity_score(true, pred)
    np.testing.assert_allclose(homogeneity, metrics.completeness_score(pred, true), atol=1e-9)


@given(labelings)
def test_a_labeling_agrees_with_itself(pair):
    true = np.asarray(pair[0])
    for name in SCORES[:2] + SCORES[3:8]:
        assert float(getattr(metrics, name)(true, true)) == pytest.approx(1)


def test_chance_is_zero_when_adjusted():
    rng = np.random.default_rng(0)
    many = [rng.integers(20, size=(2, 2000)) for _ in range(10)]
    for name in ("adjusted_rand_score", "adjusted_mutual_info_score"):
        assert abs(np.mean([getattr(metrics, name)(*pair) for pair in many])) < 5e-3


@pytest.mark.parametrize("sizes", [(2, 2), (100, 100)])
def test_adjusted_mutual_information_of_many_rows(sizes):
    """A million rows: scikit-learn's value, in little memory."""
    rng = np.random.default_rng(0)
    true, pred = (rng.integers(k, size=10**6) for k in sizes)
    table = metrics.contingency_matrix(true, pred)
    tracemalloc.start()
    (ours,) = expected_mutual_information(table.sum(1) * 1.0, table.sum(0) * 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = sk_cluster.expected_mutual_information(table, 10**6)
    # scikit-learn's sum loses 8 digits where the sizes are large and the table is small.
    np.testing.assert_allclose(ours, expected, rtol=1e-7)
    assert peak < 50 * 8 * table.size + 100_000


def exact_expectation(classes, clusters):
    """Equation 24a in whole numbers, but for the logarithm."""
    n = sum(classes)
    total = 0.0
    for a in classes:
        for b in clusters:
            for both in range(max(1, a + b - n), min(a, b) + 1):
                ways = math.comb(a, both) * math.comb(n - a, b - both)
                total += ways / math.comb(n, b) * both / n * math.log(n * both / (a * b))
    return total


@pytest.mark.x64
@pytest.mark.parametrize(
    ("classes", "clusters"),
    [([10, 20], [15, 15]), ([1, 1, 28], [29, 1]), ([500, 400, 100], [1, 999]), ([7], [3, 4])],
)
def test_expected_mutual_information_is_exact(xp, asarray, classes, clusters):
    sizes = (asarray(xp, np.asarray(s) * 1.0, "float64") for s in (classes, clusters))
    (ours,) = expected_mutual_information(*sizes)
    expected = exact_expectation(classes, clusters)
    np.testing.assert_allclose(float(ours), expected, rtol=1e-11, atol=1e-15)


def test_batch(xp, asarray, to_numpy):
    true, pred = RNG.integers(3, size=(4, 1, 30)), RNG.integers(5, size=(2, 30))
    for name in ("adjusted_mutual_info_score", "adjusted_rand_score", "rand_score"):
        ours = getattr(metrics, name)(asarray(xp, true), asarray(xp, pred), n_labels=5)
        expected = [[theirs(name, t[0], p) for p in pred] for t in true]
        close(ours, expected, to_numpy, 1e-4)


# ---- matching


@pytest.mark.eager
@pytest.mark.parametrize("sizes", [(3, 3), (5, 9), *uncompiled((9, 5), (1, 4), (15, 15))])
def test_match_labels_is_optimal(xp, asarray, to_numpy, sizes):
    rng = np.random.default_rng(sum(sizes))
    true, pred = rng.integers(sizes[0], size=100) * 2 - 3, rng.integers(sizes[1], size=100) * 5
    ours = metrics.match_labels(asarray(xp, true), asarray(xp, pred))
    table = theirs("contingency_matrix", true, pred)
    rows, columns = linear_sum_assignment(-table)
    np.testing.assert_allclose(float(ours.agreement), table[rows, columns].sum() / 100, rtol=1e-6)
    labels, mapping = to_numpy(ours.labels), to_numpy(ours.mapping)
    np.testing.assert_allclose(np.mean(labels == true), float(ours.agreement), rtol=1e-6)
    # One name each, and a partition that is still the same.
    assert len(set(mapping)) == len(mapping) == len(np.unique(pred))
    np.testing.assert_array_equal(mapping[np.unique(pred, return_inverse=True)[1]], labels)


def test_match_labels_batch(xp, asarray, to_numpy):
    """Jitted on JAX."""
    rng = np.random.default_rng(0)
    true, pred = rng.integers(5, size=(3, 80)), rng.integers(5, size=(3, 80))
    ours = metrics.match_labels(asarray(xp, true), asarray(xp, pred), n_labels=5)
    for agreement, t, p in zip(to_numpy(ours.agreement), true, pred, strict=True):
        table = theirs("contingency_matrix", t, p)
        rows, columns = linear_sum_assignment(-table)
        np.testing.assert_allclose(agreement, table[rows, columns].sum() / 80, rtol=1e-6)
    same = to_numpy(ours.labels) == true
    np.testing.assert_allclose(same.mean(axis=1), to_numpy(ours.agreement), rtol=1e-6)


def test_match_labels_weighs_rows():
    true, pred = np.array([0, 0, 1]), np.array([1, 1, 1])
    assert metrics.match_labels(true, pred).labels.tolist() == [0, 0, 0]
    weighed = metrics.match_labels(true, pred, weights=np.array([1.0, 1.0, 5.0]))
    assert weighed.labels.tolist() == [1, 1, 1]
    assert float(weighed.agreement) == pytest.approx(5 / 7)


# ---- bad input

GOOD = np.arange(6) % 3


@pytest.mark.eager
@pytest.mark.parametrize(
    ("true", "pred", "options", "error", "message"),
    [
        (GOOD * 1.0, GOOD, {}, TypeError, "labels_true must have an integer dtype, got .*float"),
        (GOOD, GOOD * 0.5, {}, TypeError, "labels_pred must have an integer dtype"),
        (GOOD, GOOD[:5], {}, ValueError, "labels_pred must have as many labels as labels_true, 6"),
        (GOOD[0], GOOD, {}, ValueError, r"labels_true must have shape \(..., n\)"),
        (GOOD, GOOD, {"n_labels": 2}, ValueError, "labels_true must be from 0 to n_labels - 1 = 1"),
        (GOOD, GOOD - 1, {"n_labels": 3}, ValueError, "labels_pred must be from 0 .* got -1 to 1"),
        (GOOD, GOOD, {"n_labels": 0}, ValueError, "n_labels must be at least 1"),
        (GOOD, GOOD, {"n_labels": 2.5}, TypeError, "n_labels must be an integer"),
    ],
)
def test_bad_input_is_named(xp, asarray, true, pred, options, error, message):
    with pytest.raises(error, match=message):
        metrics.adjusted_rand_score(asarray(xp, true), asarray(xp, pred), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(5), "weights must have shape"),
        (-np.ones(6), "weights must not be negative"),
        (np.zeros(6), "weights must not all be zero"),
        (np.full(6, np.nan), "weights must be finite"),
    ],
)
def test_bad_weights_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        metrics.rand_score(GOOD, GOOD, weights=weights)


def test_other_bad_arguments_are_named():
    with pytest.raises(TypeError, match="labels_true must be an array, got list"):
        metrics.rand_score([0, 1], GOOD)
    with pytest.raises(ValueError, match=r"average_method must be one of 'min'.*'mean'"):
        metrics.adjusted_mutual_info_score(GOOD, GOOD, average_method="mean")
    with pytest.raises(ValueError, match=r"contingency must have shape \(..., r, c\)"):
        metrics.mutual_info_score(None, None, contingency=np.ones(3))
    with pytest.raises(ValueError, match="labels_true must not be empty"):
        metrics.match_labels(GOOD[:0], GOOD[:0])


@pytest.mark.backend("jax")
def test_traced_labels_need_a_number_and_are_not_silently_wrong(xp):
    with pytest.raises(ValueError, match="n_labels must be given where labels_true cannot be read"):
        metrics.rand_score(xp.asarray(GOOD), xp.asarray(GOOD))
    assert is_jax_namespace(xp)
    for name in SCORES[:9]:
        wrong = getattr(metrics, name)(xp.asarray(GOOD), xp.asarray(GOOD - 1), n_labels=3)
        assert np.isnan(float(wrong))
