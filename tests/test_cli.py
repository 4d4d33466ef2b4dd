"""The command line on good input: what it reads, prints and writes."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.backend("numpy")

ROOT = Path(__file__).parents[1]
PENGUINS = ROOT / "kmeans_fx" / "data" / "penguins.csv"
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


@pytest.fixture
def run(tmp_path):
    """``run(file, *options)``: standard output and the folder of a run that succeeds."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def invoke(file, *options, k=2):
        out = tmp_path / "out"
        fixed = ["-k", str(k), "--no-report", "--out", str(out)]
        arguments = ["cluster", str(file), *fixed, *options]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout, out

    return invoke


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_penguins(run):
    text, out = run(PENGUINS, "--drop", "year", k=3)
    assert "344 rows" in text
    assert f"342 rows, 4 columns: {', '.join(MEASURES)}" in text
    assert "2 rows with a missing value" in text
    assert "species: not numeric ('Adelie' in row 1)" in text
    assert "year: by --drop" in text
    assert sorted(path.name for path in out.iterdir()) == [
        "centroids.csv",
        "labels.csv",
        "model.npz",
        "summary.json",
    ]
    # The best of scikit-learn's KMeans(3, n_init=50) on the standardised measures.
    assert summary(out)["result"]["inertia"] == pytest.approx(379.3925, abs=1e-4)


def test_readme_shows_what_the_command_prints(monkeypatch):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("&& kmeans-fx ")[2].partition("```")[0].splitlines()
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, shown[0].split())
    assert [line.rstrip() for line in result.stdout.splitlines()] == shown[1:]


def test_penguins_against_their_species(run):
    _, out = run(PENGUINS, "--drop", "year", k=3)
    pairs = list(zip(rows(PENGUINS), rows(out / "labels.csv"), strict=True))
    assert [row for row, (_, label) in enumerate(pairs) if label["cluster"] == ""] == [3, 271]
    found = {}
    for penguin, label in pairs:
        if label["cluster"]:
            found.setdefault(label["cluster"], []).append(penguin["species"])
    counts = {
        tuple(list_.count(s) for s in ("Adelie", "Chinstrap", "Gentoo")) for list_ in found.values()
    }
    assert counts == {(127, 5, 0), (24, 63, 0), (0, 0, 123)}


def test_files_agree_with_the_data(run):
    _, out = run(PENGUINS, "--drop", "year", "--scale", "robust", k=4)
    labels = rows(out / "labels.csv")
    centroids = np.asarray(
        [[float(row[name]) for name in MEASURES] for row in rows(out / "centroids.csv")]
    )
    used = [
        (label, row) for label, row in zip(labels, rows(PENGUINS), strict=True) if label["cluster"]
    ]
    x = np.asarray([[float(row[name]) for name in MEASURES] for _, row in used])
    cluster = np.asarray([int(label["cluster"]) for label, _ in used])
    for i in range(4):
        np.testing.assert_allclose(centroids[i], x[cluster == i].mean(axis=0), rtol=1e-3)
    about = summary(out)
    scale = np.asarray(about["scaling"]["scale"])
    distances = (((x - centroids[cluster]) / scale) ** 2).sum(axis=1)
    np.testing.assert_allclose([float(label["distance"]) for label, _ in used], distances)
    assert about["result"]["inertia"] == pytest.approx(distances.sum())
    assert about["result"]["sizes"] == np.bincount(cluster).tolist()
    assert sum(about["result"]["inertias"]) == pytest.approx(distances.sum())


def test_the_same_seed_gives_the_same_files(run):
    contents = []
    for seed in ("1", "1", "2"):
        _, out = run(PENGUINS, "--seed", seed, "--n-init", "1", "--scale", "none", k=6)
        contents.append((out / "labels.csv").read_bytes())
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("torch", marks=pytest.mark.backend("torch")),
        pytest.param("jax", marks=pytest.mark.backend("jax")),
    ],
)
def test_every_backend_finds_the_same_clusters(run, tmp_path, backend):
    _, out = run(PENGUINS, "--drop", "year", k=3)
    here = [row["cluster"] for row in rows(out / "labels.csv")]
    there = tmp_path / "there"
    command = [sys.executable, "-W", "error", "-m", "kmeans_fx", "cluster", str(PENGUINS)]
    options = ["-k", "3", "--drop", "year", "--backend", backend, "--no-report"]
    options += ["--out", str(there)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    assert [row["cluster"] for row in rows(there / "labels.csv")] == here
    assert summary(there)["result"]["inertia"] == pytest.approx(summary(out)["result"]["inertia"])


SPREAD = [(1, 2), (1, 3), (50, 60), (51, 62)]


@pytest.mark.parametrize(
    ("name", "encoding", "pattern", "says"),
    [
        ("t.csv", "utf-8", "é,b\n{},{}\n{},{}\n{},{}\n{},{}\n", "separator comma"),
        ("t.csv", "utf-8-sig", "é,b\n{},{}\n{},{}\n{},{}\n{},{}\n", "separator comma"),
        ("t.csv", "utf-16", "é,b\n{},{}\n{},{}\n{},{}\n{},{}\n", "separator comma"),
        ("t.csv", "latin-1", "é,b\n{},{}\n{},{}\n{},{}\n{},{}\n", "separator comma"),
        ("t.csv", "utf-8", "é;b\n{},5;{}\n{},5;{}\n{},5;{}\n{},5;{}\n", "decimal comma"),
        ("t.csv", "utf-8", '"é", b\r\n{}, {}\r\n\r\n{}, {}\r\n{},{}\r\n{},{}', "separator comma"),
        ("t.tsv", "utf-8", "é\tb\n{}\t{}\n{}\t{}\n{}\t{}\n{}\t{}\n", "separator tab"),
        ("t.txt", "utf-8", "é|b\n{}|{}\n{}|{}\n{}|{}\n{}|{}\n", "separator bar"),
        ("t.csv", "utf-8", "{},{}\n{},{}\n{},{}\n{},{}\n", "no header"),
    ],
)
def test_dialects_of_text(run, tmp_path, name, encoding, pattern, says):
    text = pattern.format(*(number for row in SPREAD for number in row))
    output, out = run(write(tmp_path / name, text, encoding))
    assert says in output
    names = ["x0", "x1"] if says == "no header" else ["é", "b"]
    assert summary(out)["input"]["columns"] == names
    clusters = [row["cluster"] for row in rows(out / "labels.csv")]
    assert clusters[0] == clusters[1] != clusters[2] == clusters[3]
    if says == "decimal comma":
        means = sorted(float(row["é"]) for row in rows(out / "centroids.csv"))
        np.testing.assert_allclose(means, [1.5, 51.0])


def test_why_columns_are_left_out(run, tmp_path):
    text = ",id,day,empty,note,flag,x\n0,a,2020-01-01,,1,true,1\n1,b,2020-01-02,,?,false,9\n"
    output, out = run(write(tmp_path / "t.csv", text))
    assert summary(out)["input"]["columns"] == ["flag", "x"]
    for line in (
        "(unnamed): no name in the header",
        "id: not numeric ('a' in row 1)",
        "day: not numeric (date32[day])",
        "empty: no values",
        "note: not numeric ('?' in row 2)",
    ):
        assert line in output


def test_missing_values_and_constant_columns(run, tmp_path):
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 100, size=(200, 3)).astype(str)
    cells[rng.random(cells.shape) < 0.3] = ""
    text = "a,b,c,one\n" + "".join(",".join(row) + ",1\n" for row in cells)
    output, out = run(write(tmp_path / "t.csv", text))
    complete = int(np.all(cells != "", axis=1).sum())
    assert f"{200 - complete} rows with a missing value" in output
    assert "one: the same in every row" in output
    assert summary(out)["input"]["rows_used"] == complete
    assert [row["cluster"] != "" for row in rows(out / "labels.csv")] == np.all(
        cells != "", axis=1
    ).tolist()


@pytest.mark.parametrize("how", ["mean", "median"])
def test_missing_values_are_filled(run, tmp_path, how):
    rng = np.random.default_rng(0)
    x = np.repeat([[0.0, 0.0, 0.0], [90.0, 80.0, 70.0]], 100, axis=0) + rng.normal(size=(200, 3))
    x[rng.random(x.shape) < 0.3] = np.nan
    cells = np.where(np.isnan(x), "", np.char.mod("%.9f", x))
    text = "a,b,c\n" + "".join(",".join(row) + "\n" for row in cells)
    path = write(tmp_path / "t.csv", text)
    output, out = run(path, "--missing", how)
    empty = np.isnan(x).all(axis=1)
    assert 0 < empty.sum() < 20
    assert f"{empty.sum()} rows without any value" in output
    gaps, total = int(np.isnan(x[~empty]).sum()), 3 * int((~empty).sum())
    assert f"{gaps} missing values ({gaps / total:.1%}) with the {how} of the column" in output
    assert [row["cluster"] == "" for row in rows(out / "labels.csv")] == empty.tolist()
    fill = getattr(np, f"nan{how}")(x[~empty], axis=0)
    np.testing.assert_allclose(summary(out)["fill"], fill, rtol=1e-6)
    output, _ = run(path)
    lost = int(np.isnan(x).any(axis=1).sum())
    assert f"that is {lost / 200:.0%} of the rows: --missing median would fill" in output


def test_columns_in_the_order_asked_for(run, tmp_path):
    text = 'a,"b,c",d\n1,2,3\n4,5,7\n8,1,1\n'
    output, out = run(write(tmp_path / "t.csv", text), "--columns", 'd,"b,c"')
    assert summary(out)["input"]["columns"] == ["d", "b,c"]
    assert "a: not in --columns" in output
    assert list(rows(out / "centroids.csv")[0]) == ["cluster", "d", "b,c"]


def test_parquet_without_the_index_of_pandas(run, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"id": [1, 2, 3, 4], "x": [1.0, None, 9.0, 8.0], "y": [1, 2, 3, 2]})
    # What DataFrame.to_parquet stores of an index called id.
    note = json.dumps({"index_columns": ["id"], "columns": [], "column_indexes": []})
    parquet.write_table(table.replace_schema_metadata({"pandas": note}), tmp_path / "t.parquet")
    output, out = run(tmp_path / "t.parquet")
    assert summary(out)["input"]["columns"] == ["x", "y"]
    assert "id: the index of a pandas frame" in output
    assert [row["cluster"] == "" for row in rows(out / "labels.csv")] == [False, True, False, False]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64"])
def test_arrays(run, tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.asarray(SPREAD, dtype=dtype))
    _, out = run(tmp_path / "x.npy", "--scale", "none")
    assert summary(out)["input"]["columns"] == ["x0", "x1"]
    centroids = sorted([float(row["x0"]), float(row["x1"])] for row in rows(out / "centroids.csv"))
    np.testing.assert_allclose(centroids, [[1.0, 2.5], [50.5, 61.0]])


@pytest.mark.parametrize("name", ["i.png", "i.jpg"])
def test_images_are_quantised(run, tmp_path, name):
    from PIL import Image

    # The edge lies between two JPEG blocks of 16 pixels.
    pixels = np.zeros((32, 16, 3), dtype=np.uint8)
    pixels[:16], pixels[16:] = (250, 10, 10), (10, 10, 240)
    Image.fromarray(pixels).save(tmp_path / name, quality=95)
    output, out = run(tmp_path / name)
    assert "image of 16 x 32 pixels" in output
    assert "Scaled    not at all" in output
    quantised = np.asarray(Image.open(out / "quantized.png")).astype(int)
    assert quantised.shape == pixels.shape
    assert len(np.unique(quantised.reshape(-1, 3), axis=0)) == 2
    assert np.max(np.abs(quantised - pixels)) <= 12


def test_scaling_decides_which_column_counts(run, tmp_path):
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 50)
    x = np.stack([groups + 0.1 * rng.random(100), 1e4 * rng.random(100)], axis=1)
    path = write(tmp_path / "t.csv", "a,b\n" + "".join(f"{a},{b}\n" for a, b in x))
    agreement = {}
    for scale in ("none", "standard", "minmax", "robust"):
        _, out = run(path, "--scale", scale)
        clusters = np.asarray([int(row["cluster"]) for row in rows(out / "labels.csv")])
        agreement[scale] = max(np.mean(clusters == groups), np.mean(clusters != groups))
    assert agreement["none"] < 0.7
    assert min(agreement["standard"], agreement["minmax"], agreement["robust"]) == 1.0


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "manhattan", "cosine"])
def test_metrics(run, metric):
    output, out = run(PENGUINS, "--drop", "year", "--metric", metric, k=3)
    about = summary(out)
    assert about["options"]["scale"] == ("none" if metric == "cosine" else "standard")
    lengths = np.linalg.norm(about["result"]["centroids"], axis=1)
    assert np.allclose(lengths, 1.0) == (metric == "cosine")
    assert ("directions of length 1" in output) == (metric == "cosine")


def test_names_with_brackets_are_printed_as_they_are(run, tmp_path):
    output, _ = run(write(tmp_path / "t.csv", "len [mm],w [bold]\n1,2\n3,4\n9,9\n"))
    assert "len [mm], w [bold]" in output


def test_without_out_nothing_is_written(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["cluster", str(PENGUINS), "-k", "3"])
    assert result.exit_code == 0
    assert "Wrote     nothing" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["kmeans_fx.kmeans", "kmeans_fx.cli.results.write_json"])
def test_an_interrupt_leaves_earlier_files_as_they_were(run, monkeypatch, where):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    _, out = run(PENGUINS, k=3)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    result = CliRunner().invoke(
        app, ["cluster", str(PENGUINS), "-k", "5", "--no-report", "--out", str(out)]
    )
    assert result.exit_code not in (0, 2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_library_does_not_import_the_command_line():
    code = "import sys, kmeans_fx; print(*(m for m in sys.modules if 'kmeans_fx.cli' in m))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_python_m_runs_it():
    command = [sys.executable, "-m", "kmeans_fx", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    assert "Usage: kmeans-fx" in done.stdout
