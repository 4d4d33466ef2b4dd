"""Numbers of clusters: tried, compared and chosen."""

import csv
import json

import numpy as np
import pytest
from sklearn import metrics as oracle
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.backend("numpy")

CENTRES = np.asarray([[0, 0, 0], [9, 0, 5], [0, 9, -5], [9, 9, 9]])
FAST = ["--references", "3", "--n-init", "3"]
SCORES = ["silhouette", "davies_bouldin", "calinski_harabasz"]


@pytest.fixture
def invoke():
    """``invoke(*arguments, code=0)``: the result of a run that ends with that code."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """A table of four round groups of 30 rows."""
    rng = np.random.default_rng(0)
    x = np.repeat(CENTRES, 30, axis=0) + rng.normal(size=(120, 3))
    return write(tmp_path_factory.mktemp("data") / "groups.csv", x)


def write(path, x):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[f"c{i}" for i in range(x.shape[1])], *x.tolist()])
    return path


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_sweep(invoke, groups, tmp_path):
    result = invoke("sweep", groups, *FAST, "--ks", "1-6", "--out", tmp_path)
    found = read(tmp_path / "sweep.json")["sweep"]
    assert found["k"] == 4
    assert found["choices"]["gap"]["k"] == 4
    assert found["choices"].keys() == {*SCORES, "elbow", "gap"}
    assert "Taken" in result.stdout
    assert "k = 4. By silhouette: " in result.stdout
    table = rows(tmp_path / "sweep.csv")
    assert [row["k"] for row in table] == ["1", "2", "3", "4", "5", "6"]
    assert table[0]["silhouette"] == ""
    assert found["silhouette"][0] is None
    assert [float(row["inertia"]) for row in table] == found["inertia"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("sweep.csv", "sweep.json", "elbow.png", "gap.png"),
        *(f"{name}.png" for name in SCORES),
    }


def test_sweep_scores_are_those_of_scikit_learn(invoke, groups, tmp_path):
    invoke("sweep", groups, *FAST, "--ks", "4", "--out", tmp_path)
    (row,) = rows(tmp_path / "sweep.csv")
    x = StandardScaler().fit_transform(np.loadtxt(groups, delimiter=",", skiprows=1))
    labels = np.repeat(range(4), 30)
    for name in SCORES:
        assert float(row[name]) == pytest.approx(getattr(oracle, f"{name}_score")(x, labels))
    assert not list(tmp_path.glob("*.png"))  # there is no line through one point


def test_cluster_chooses_and_fits_as_with_k(invoke, groups, tmp_path):
    chosen, given = tmp_path / "chosen", tmp_path / "given"
    result = invoke("cluster", groups, *FAST, "--out", chosen)
    invoke("cluster", groups, "-k", "4", "--n-init", "3", "--no-report", "--out", given)
    for name in ("labels.csv", "centroids.csv"):
        assert (chosen / name).read_bytes() == (given / name).read_bytes()
    about = read(chosen / "summary.json")
    assert about["sweep"]["ks"] == list(range(1, 11))
    assert about["options"]["k"] == about["sweep"]["k"] == 4
    assert "sweep" not in read(given / "summary.json")
    more = {path.name for path in chosen.iterdir()} - {path.name for path in given.iterdir()}
    assert more == {"report.html", "sweep.csv"}
    for word in ("Silhouette", "Davies-Bouldin", "Calinski-Harabasz", "Stability"):
        assert word in result.stdout


def test_quality_is_that_of_scikit_learn(invoke, groups, tmp_path):
    invoke("cluster", groups, "-k", "3", "--scale", "none", "--out", tmp_path)
    x = np.loadtxt(groups, delimiter=",", skiprows=1)
    labels = [int(row["cluster"]) for row in rows(tmp_path / "labels.csv")]
    quality = read(tmp_path / "summary.json")["quality"]
    for name in SCORES:
        assert quality[name] == pytest.approx(getattr(oracle, f"{name}_score")(x, labels))


def test_stability_tells_real_groups_from_cut_ones(invoke, groups, tmp_path):
    invoke("cluster", groups, "-k", "4", "--out", tmp_path / "real")
    assert min(read(tmp_path / "real" / "summary.json")["quality"]["jaccard"]) > 0.95
    noise = write(tmp_path / "noise.csv", np.random.default_rng(0).normal(size=(120, 3)))
    invoke("cluster", noise, "-k", "4", "--out", tmp_path / "cut")
    assert min(read(tmp_path / "cut" / "summary.json")["quality"]["jaccard"]) < 0.75


@pytest.mark.parametrize(
    ("method", "ks", "reason"),
    [
        ("silhouette", "2-5", "no substantial structure"),
        ("elbow", "2-3", "needs at least three values of k"),
        ("calinski_harabasz", "2-4", "the largest k tried"),
    ],
)
def test_no_clear_answer_is_said_with_what_is_taken(invoke, groups, tmp_path, method, ks, reason):
    noise = write(tmp_path / "noise.csv", np.random.default_rng(0).normal(size=(150, 6)))
    path = groups if method == "calinski_harabasz" else noise
    fast = ["--references", "0", "--n-init", "2"]
    result = invoke("cluster", path, *fast, "--ks", ks, "--choose", method, "--out", tmp_path)
    found = read(tmp_path / "summary.json")["sweep"]
    assert found["choices"][method]["k"] is None
    assert reason in found["choices"][method]["reason"]
    best = found["ks"][int(np.argmax(found["silhouette"]))]
    assert found["k"] == best
    sentence = f"Taken is k = {best}, because the mean silhouette of those tried is largest"
    assert sentence in result.stdout
    assert f"No clear answer by {method}: {found['choices'][method]['reason']}" in result.stdout
    assert sentence in (tmp_path / "report.html").read_text()


def test_large_files_are_judged_on_a_sample(invoke, groups, tmp_path):
    options = [*FAST, "--ks", "2-5", "--sample", "101", "--out", tmp_path]
    result = invoke("cluster", groups, *options)
    assert "Criteria on 101 rows" in result.stdout
    about = read(tmp_path / "summary.json")
    assert about["sweep"]["rows"] == 101
    assert about["result"]["sizes"] == [30] * 4
    assert "The silhouette is that of 101 rows." in (tmp_path / "report.html").read_text()


def test_a_sample_has_room_for_the_clusters(invoke, groups):
    result = invoke("sweep", groups, *FAST, "--ks", "2-5", "--sample", "3")
    assert "Criteria on 100 rows" in result.stdout


@pytest.mark.parametrize(
    ("values", "ks"),
    [
        ([[0.0], [1.0]], [1]),
        ([[0.0], [1.0], [1.0], [1.0]], [1]),
        ([[0.0], [1.0], [9.0], [9.0]], [1, 2]),
    ],
)
def test_the_default_range_fits_few_different_rows(invoke, tmp_path, values, ks):
    path = write(tmp_path / "few.csv", np.asarray(values))
    invoke("cluster", path, *FAST, "--no-report", "--out", tmp_path / "out")
    assert read(tmp_path / "out" / "summary.json")["sweep"]["ks"] == ks


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_metrics(invoke, groups, tmp_path, metric):
    options = ["--references", "0", "--n-init", "2", "--ks", "2-4", "--metric", metric]
    result = invoke("cluster", groups, *options, "--no-report", "--out", tmp_path)
    assert "Gap" not in result.stdout
    assert "gap" not in read(tmp_path / "summary.json")["sweep"]["choices"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ks", "5-2"], "'5-2' must rise and begin at 1 or more"),
        (["--ks", "0-3"], "'0-3' must rise and begin at 1 or more"),
        (["--ks", "two"], "'two' is not a range like 2-10 or 2,4,8"),
        (["--ks", "2-"], "'2-' is not a range like 2-10 or 2,4,8"),
        (["--ks", "2-200"], "k must be at most the number of rows, 120, got"),
        (["--choose", "best"], "Invalid value for '--choose': 'best' is not one of"),
        (["--choose", "gap", "--references", "0"], "--choose gap needs references"),
        (["-k", "3", "--ks", "2-4"], "--ks is for a number of clusters that is chosen"),
        (["-k", "3", "--choose", "gap"], "--choose is for a number of clusters that is chosen"),
    ],
)
def test_bad_options(invoke, groups, tmp_path, options, sentence):
    result = invoke("cluster", groups, *options, "--out", tmp_path / "out", code=2)
    assert sentence in result.stderr
    assert not (tmp_path / "out").exists()


def test_ks_may_be_listed(invoke, groups, tmp_path):
    invoke("sweep", groups, "--references", "0", "--ks", "8, 2-4,3", "--out", tmp_path)
    assert [row["k"] for row in rows(tmp_path / "sweep.csv")] == ["2", "3", "4", "8"]
