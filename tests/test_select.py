"""Criteria over a range of k: against their definitions, the paper's examples, and the answers."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.decomposition import PCA

import kmeans_fx as kf
from kmeans_fx._backend.random import as_key, split
from kmeans_fx.select import Sweep, choose_k, sweep
from kmeans_fx.select._gap import box_of, draw

METHODS = ["elbow", "silhouette", "gap", "davies_bouldin", "calinski_harabasz"]
CENTERS = np.asarray([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
QUICK = {"n_init": 2, "references": 3}


def three(n=45, seed=0):
    """Three groups of unit normals."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return CENTERS[labels] + rng.standard_normal((n, 2))


@pytest.fixture
def linalg(xp):
    """array-api-strict with the extension that the principal axes need."""
    if xp.__name__ == "array_api_strict":
        flags = xp.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=("linalg",)
        )
        with flags:
            yield
    else:
        yield


def read(to_numpy, result):
    return type(result)(*(to_numpy(field) for field in result))


@pytest.mark.uncompiled
@pytest.mark.usefixtures("linalg")
def test_a_sweep_says_what_the_scores_of_its_labels_are(xp, asarray, to_numpy):
    x = three()
    given = asarray(xp, x)
    found = read(to_numpy, sweep(given, [1, 3, 4], key=0, **QUICK))
    assert found.labels.shape == (3, 45)
    assert found.centroids.shape == (3, 4, 2)
    assert found.ks.tolist() == [1, 3, 4]
    for i, k in enumerate(found.ks):
        assert np.isnan(found.centroids[i, k:]).all()
        distances = ((x - found.centroids[i][found.labels[i]]) ** 2).sum(axis=1)
        np.testing.assert_allclose(found.inertia[i], distances.sum(), rtol=1e-4)
        assert found.status[i] == kf.CONVERGED
        scores = found.silhouette[i], found.davies_bouldin[i], found.calinski_harabasz[i]
        if k == 1:
            assert np.isnan(scores).all()
            continue
        functions = sk.silhouette_score, sk.davies_bouldin_score, sk.calinski_harabasz_score
        expected = [function(x, found.labels[i]) for function in functions]
        np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert np.isfinite(found.gap).all()
    assert (found.gap_error > 0).all()
    # The same starts and the same references everywhere, up to rounding.
    numpys = sweep(x, [1, 3, 4], key=0, **QUICK)
    for field in ("inertia", "gap", "gap_error"):
        np.testing.assert_allclose(
            getattr(found, field), getattr(numpys, field), rtol=1e-3, atol=1e-4
        )


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_the_metric_is_that_of_the_silhouette(metric):
    x = three() + 1
    found = sweep(x, [2, 3], key=0, metric=metric, references=0)
    expected = [sk.silhouette_score(x, labels, metric=metric) for labels in found.labels]
    np.testing.assert_allclose(found.silhouette, expected, rtol=1e-6)


@pytest.mark.backend("numpy")
def test_the_inertia_never_rises():
    x = np.random.default_rng(0).standard_normal((300, 3))
    inertia = sweep(x, range(1, 40), key=0, n_init=1, references=0, sample_size=0).inertia
    assert (np.diff(inertia) <= 1e-9 * inertia[0]).all()


@pytest.mark.backend("numpy")
def test_the_same_key_gives_the_same_sweep_and_another_one_another():
    x = three()
    one, same, other = (sweep(x, [1, 3], key=key, **QUICK) for key in (4, 4, 5))
    np.testing.assert_array_equal(one.gap, same.gap)
    assert (one.gap != other.gap).all()


# ---- the gap


@pytest.mark.backend("numpy")
def test_the_gap_is_that_of_plain_loops():
    x = three()
    found = sweep(x, [1, 2, 3], key=7, n_init=3, references=4, reference="uniform")
    words = split(split(as_key(7, np, None), 3)[1])
    references = draw(box_of(x, None, "uniform"), split(words[0], 4), *x.shape[:1], x.dtype)
    assert references.shape == (4, 45, 2)
    for i, k in enumerate([1, 2, 3]):
        logs = [np.log(kf.kmeans(rows, k, key=0, n_init=20).inertia) for rows in references]
        # Starts differ, and 45 rows without clusters have local minima.
        np.testing.assert_allclose(
            found.gap[i], np.mean(logs) - np.log(found.inertia[i]), atol=0.05
        )
        error = np.std(logs) * np.sqrt(1 + 1 / 4)
        np.testing.assert_allclose(found.gap_error[i], error, rtol=0.6)
        if k == 1:
            np.testing.assert_allclose(found.gap_error[i], error, rtol=1e-9)


@pytest.mark.parametrize("reference", ["pca", "uniform"])
@pytest.mark.usefixtures("linalg")
def test_references_fill_the_box_of_the_rows(xp, asarray, to_numpy, reference):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)) @ np.asarray([[3.0, 3.0], [-0.2, 0.2]]) + 50
    weights = np.ones(60)
    x[7], weights[7] = 1e4, 0
    box = box_of(asarray(xp, x), asarray(xp, weights), reference)
    keys = split(as_key(0, xp, box.low.device if hasattr(box.low, "device") else None), 2)
    rows = to_numpy(draw(box, keys, 500, box.low.dtype))
    assert rows.shape == (2, 500, 2)
    kept = np.delete(x, 7, axis=0)
    if reference == "pca":
        pca = PCA().fit(kept)
        kept, rows = pca.transform(kept), pca.transform(rows.reshape(-1, 2)).reshape(2, 500, 2)
    low, high = kept.min(axis=0), kept.max(axis=0)
    slack = 1e-3 * (high - low)
    for sample in rows:
        assert (sample >= low - slack).all()
        assert (sample <= high + slack).all()
        np.testing.assert_allclose(sample.min(axis=0), low, atol=0.03 * (high - low).max())
        np.testing.assert_allclose(
            sample.mean(axis=0), (low + high) / 2, atol=0.08 * (high - low).max()
        )
    assert not np.array_equal(rows[0], rows[1])


@pytest.mark.backend("numpy")
def test_batches_of_references_do_not_matter(monkeypatch):
    x = three()
    whole = sweep(x, [1, 2], key=0, **QUICK)
    monkeypatch.setattr("kmeans_fx.select._gap._NUMBERS", 2 * x.size)
    monkeypatch.setattr("kmeans_fx.select._gap._BITS", 1 << 20)
    calls = []
    parts = sweep(x, [1, 2], key=0, callback=lambda *words: calls.append(words), **QUICK)
    np.testing.assert_allclose(parts.gap, whole.gap, rtol=1e-9)
    assert calls == [(i + 1, 6, 1 + i % 2) for i in range(6)]


def null(rng):
    return rng.random((200, 10))


def three_in_two(rng):
    sizes = [25, 25, 50]
    centers = np.repeat([[0.0, 0.0], [0.0, 5.0], [5.0, -3.0]], sizes, axis=0)
    return centers + rng.standard_normal((100, 2))


def four_in(d, variance):
    """Four normal groups of 25 or 50 rows, no two with rows less than 1 apart."""

    def rows(rng):
        while True:
            sizes = rng.choice([25, 50], size=4)
            labels = np.repeat(np.arange(4), sizes)
            x = rng.standard_normal((4, d))[labels] * variance**0.5
            x += rng.standard_normal(x.shape)
            gaps = np.linalg.norm(x[:, None] - x, axis=-1)
            if gaps[labels[:, None] != labels].min() >= 1:
                return x

    return rows


def two_elongated(rng):
    line = np.linspace(-0.5, 0.5, 100)[:, None] + np.asarray([[[0.0]], [[10.0]]])
    return (line + 0.1 * rng.standard_normal((2, 100, 3))).reshape(200, 3)


EXAMPLES = {
    "null in 10-d": (null, 1),
    "three in 2-d": (three_in_two, 3),
    "four in 3-d": (four_in(3, 5.0), 4),
    "four in 10-d": (four_in(10, 1.9), 4),
    "two elongated in 3-d": (two_elongated, 2),
}


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_gap_finds_the_clusters_of_its_paper(name):
    """Section 4 of Tibshirani, Walther and Hastie; docs/choosing-k.md has more repeats."""
    rows, truth = EXAMPLES[name]
    rng = np.random.default_rng(2001)
    chosen = []
    for key in range(4):
        found = sweep(rows(rng), range(1, 7), key=key, n_init=3, sample_size=0)
        chosen.append(choose_k(found, method="gap").k)
    assert chosen.count(truth) >= 3


@pytest.mark.backend("numpy")
def test_the_box_along_the_columns_misses_elongated_clusters():
    rng = np.random.default_rng(2001)
    found = sweep(two_elongated(rng), range(1, 7), key=0, sample_size=0, reference="uniform")
    assert choose_k(found, method="gap").k != 2


# ---- weights, types, sizes


@pytest.mark.backend("numpy")
def test_weight_m_is_m_copies_and_zero_is_absent():
    x = three()
    counts = np.random.default_rng(3).integers(0, 4, size=45)
    x[counts == 0] *= 1e5
    ours = sweep(x, [1, 2, 3], key=0, weights=counts * 1.0, n_init=10, references=0)
    expected = sweep(np.repeat(x, counts, axis=0), [1, 2, 3], key=0, n_init=10, references=0)
    for field in ("inertia", "silhouette", "davies_bouldin", "calinski_harabasz"):
        np.testing.assert_allclose(getattr(ours, field), getattr(expected, field), rtol=1e-6)
    alike = sk.adjusted_rand_score(np.repeat(ours.labels[2], counts), expected.labels[2])
    assert alike == pytest.approx(1)


@pytest.mark.backend("numpy")
def test_absent_rows_do_not_stretch_the_references():
    x = three()
    far = np.concatenate([x, np.full((5, 2), 1e3)])
    weights = np.r_[np.ones(45), np.zeros(5)]
    ours = sweep(far, range(1, 6), key=0, weights=weights, references=10)
    assert choose_k(ours, method="gap").k == 3


@pytest.mark.backend("numpy")
def test_a_sample_of_the_rows_is_enough_for_the_silhouette():
    x = three(300)
    ours = sweep(x, [2, 3, 4], key=0, references=0, sample_size=100)
    full = sweep(x, [2, 3, 4], key=0, references=0)
    assert not np.array_equal(ours.silhouette, full.silhouette)
    np.testing.assert_allclose(ours.silhouette, full.silhouette, atol=0.1)


@pytest.mark.backend("numpy")
def test_what_is_not_asked_for_is_nan():
    found = sweep(three(), [1, 2], key=0, references=0, sample_size=0)
    assert np.isnan(found.gap).all()
    assert np.isnan(found.gap_error).all()
    assert np.isnan(found.silhouette).all()
    for method in ("gap", "silhouette"):
        with pytest.raises(ValueError, match=f"sweep must hold {method}"):
            choose_k(found, method=method)


@pytest.mark.backend("numpy")
def test_as_many_clusters_as_rows():
    x = np.asarray([[0.0], [1.0], [5.0]])
    found = sweep(x, [1, 2, 3], key=0, references=2)
    assert found.inertia[2] == 0
    assert np.isnan(found.silhouette[[0, 2]]).all()
    assert np.isnan(found.gap).tolist() == [False, False, True]
    assert choose_k(found, method="gap").reason.endswith(".")


@pytest.mark.backend("numpy")
def test_as_many_clusters_as_distinct_rows():
    x = np.repeat([[0.0], [1.0], [5.0]], 10, axis=0)
    found = sweep(x, [1, 2, 3, 4], key=0, references=4)
    assert np.isposinf(found.gap[2:]).all()
    assert choose_k(found, method="gap").k == 3
    np.testing.assert_allclose(found.silhouette[2:], 1)


@pytest.mark.backend("torch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    torch = pytest.importorskip("torch")
    x = torch.asarray(three()).to(getattr(torch, dtype))
    found = sweep(x, [2, 3], key=0, **QUICK)
    assert found.centroids.dtype == x.dtype
    assert found.inertia.dtype == found.gap.dtype == torch.float32
    assert choose_k(found._replace(gap=found.gap), method="gap").k in (2, 3, None)


@pytest.mark.backend("jax")
def test_under_jit(xp):
    import jax

    x = three().astype(np.float32)
    options = {"n_init": 2, "references": 2, "reference": "uniform"}
    ours = jax.jit(lambda rows: sweep(rows, [1, 3], key=0, **options))(xp.asarray(x))
    expected = sweep(x, [1, 3], key=0, **options)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-3, atol=1e-3)


# ---- answers


def answers(ks, **fields):
    """A sweep of which only some fields matter."""
    blank = dict.fromkeys(Sweep._fields, None)
    arrays = {name: np.asarray(values, dtype=float) for name, values in fields.items()}
    return Sweep(**{**blank, "ks": np.asarray(ks), **arrays})


@pytest.mark.backend("numpy")
def test_three_groups_are_three():
    found = sweep(three(90), range(1, 9), key=0)
    for method in METHODS:
        choice = choose_k(found, method=method)
        assert (choice.k, choice.method) == (3, method)
        assert choice.reason.endswith(".")
        assert "3" in choice.reason


NAN = float("nan")


@pytest.mark.backend("numpy")  # where kneed is installed
@pytest.mark.parametrize(
    ("method", "fields", "k", "reason"),
    [
        ("elbow", {"inertia": [4, 3, 2, 1]}, None, "no knee"),
        ("elbow", {"inertia": [4, 4, 4, 4]}, None, "does not fall"),
        ("silhouette", {"silhouette": [NAN, 0.2, 0.25, 0.1]}, None, "no substantial"),
        ("silhouette", {"silhouette": [NAN, 0.3, 0.4, 0.5]}, None, "largest k tried"),
        ("silhouette", {"silhouette": [NAN, 0.5, 0.4, 0.3]}, 2, "next comes k = 3"),
        ("silhouette", {"silhouette": [NAN, NAN, 0.5, NAN]}, None, "1 value"),
        ("davies_bouldin", {"davies_bouldin": [NAN, 2, 1, 3]}, 3, "smallest, 1, at k = 3"),
        ("davies_bouldin", {"davies_bouldin": [NAN, 2, 1, 0.5]}, None, "largest k tried"),
        ("calinski_harabasz", {"calinski_harabasz": [NAN, 9, 80, 3]}, 3, "largest, 80"),
        ("gap", {"gap": [1, 2, 3, 4], "gap_error": [0.1] * 4}, None, "rises by more"),
        ("gap", {"gap": [1, 2, 2.05, 4], "gap_error": [0.1] * 4}, 2, "Gap(2)"),
        ("gap", {"gap": [3, 2, 1, 0], "gap_error": [0.1] * 4}, 1, "Gap(1)"),
        ("gap", {"gap": [1, 2, np.inf, 4], "gap_error": [0.1] * 4}, 3, "Gap(3) = inf"),
    ],
)
def test_rules(method, fields, k, reason):
    choice = choose_k(answers([1, 2, 3, 4], **fields), method=method)
    assert choice.k == k
    assert reason in choice.reason


def test_edges_of_the_range_are_told():
    best = choose_k(answers([4, 5, 6], silhouette=[0.6, 0.5, 0.4]), method="silhouette")
    assert best.k is None
    assert "smallest k tried" in best.reason
    gap = choose_k(answers([2, 3], gap=[2, 1], gap_error=[0.1, 0.1]), method="gap")
    assert gap.k == 2
    assert "fewer than 2 were not tried" in gap.reason
    for method, fields in (("elbow", {"inertia": [2, 1]}), ("gap", {"gap": [1], "gap_error": [1]})):
        short = answers(range(1, 1 + len(next(iter(fields.values())))), **fields)
        assert choose_k(short, method=method).k is None


@pytest.mark.backend("numpy")
@given(st.lists(st.floats(0.3, 0.99), min_size=3, max_size=9))
def test_the_silhouette_chooses_a_maximum_or_nothing(values):
    choice = choose_k(answers(range(2, 2 + len(values)), silhouette=values), method="silhouette")
    if choice.k is None:
        assert max(values[:-1]) < values[-1]
    else:
        assert values[choice.k - 2] == max(values)


def test_without_kneed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kneed", None)
    with pytest.raises(ImportError, match=r"kmeans-fx\[select\]"):
        choose_k(answers([1, 2, 3], inertia=[9, 2, 1]))


# ---- bad input

X = three()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ks": 3}, TypeError, "ks must be an iterable of integers, got int"),
        ({"ks": []}, ValueError, "ks must be one number or more"),
        ({"ks": [2, 2]}, ValueError, "ks must be .* each larger than the one before"),
        ({"ks": [1, 46]}, ValueError, "k must be at most the number of rows, 45, got 46"),
        ({"ks": [0, 1]}, ValueError, "k must be at least 1"),
        ({"ks": [1.5]}, TypeError, "k must be an integer"),
        ({"n_init": 0}, ValueError, "n_init must be at least 1"),
        ({"references": -1}, ValueError, "references must be at least 0"),
        ({"sample_size": -1}, ValueError, "sample_size must be at least 0"),
        ({"reference": "box"}, ValueError, "reference must be one of 'pca', 'uniform'"),
        ({"metric": "l2"}, ValueError, "metric must be one of"),
        ({"key": "a"}, TypeError, "key must be"),
        ({"weights": -np.ones(45)}, ValueError, "weights must not be negative"),
        ({"x": X[None]}, ValueError, r"x must have shape \(n, d\)"),
        ({"x": X * np.nan}, ValueError, "x must be finite"),
        ({"x": X.tolist()}, TypeError, "x must be an array"),
    ],
)
def test_bad_input_is_named(options, error, message):
    words = {"x": X, "ks": [1, 2], "key": 0} | options
    with pytest.raises(error, match=message):
        sweep(words.pop("x"), words.pop("ks"), **words)


def test_unknown_methods_are_named():
    with pytest.raises(ValueError, match="method must be one of 'elbow'"):
        choose_k(answers([1, 2]), method="bic")
