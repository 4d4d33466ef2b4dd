"""The model file, and the labels of new rows."""

import csv
import io
import json

import numpy as np
import pytest

pytestmark = pytest.mark.backend("numpy")


@pytest.fixture
def invoke():
    """``invoke(*arguments, code=0)``: the result of a run that ends with that code."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def fitted(invoke, tmp_path):
    """``fitted(*options)``: file and folder of a run on three groups with gaps."""

    def run(*options):
        path, out = tmp_path / "train.csv", tmp_path / "out"
        rng = np.random.default_rng(0)
        values = np.repeat([[0, 100, 5], [10, 300, 5], [20, 900, 6]], 30, axis=0)
        values = values + rng.normal(size=values.shape)
        cells = np.char.mod("%.6f", values)
        cells[rng.random(cells.shape) < 0.1] = ""
        write_rows(path, ["a", "b", "c"], cells)
        invoke("cluster", path, "-k", "3", "--no-report", "--out", out, *options)
        return path, out

    return run


def write_rows(path, names, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def labels(text):
    return list(csv.DictReader(io.StringIO(text)))


OPTIONS = [
    ["--missing", "drop"],
    ["--missing", "median"],
    ["--missing", "mean", "--scale", "robust"],
    ["--scale", "minmax", "--metric", "manhattan"],
    ["--scale", "none", "--metric", "euclidean"],
    ["--metric", "cosine"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_rows_that_were_clustered_get_their_labels(invoke, fitted, options):
    path, out = fitted(*options)
    result = invoke("predict", out / "model.npz", path)
    found, before = labels(result.stdout), labels((out / "labels.csv").read_text())
    assert [row["cluster"] for row in found] == [row["cluster"] for row in before]
    pairs = [
        (float(a["distance"]), float(b["distance"]))
        for a, b in zip(found, before, strict=True)
        if a["distance"]
    ]
    np.testing.assert_allclose(*zip(*pairs, strict=True), rtol=1e-9, atol=1e-12)
    gaps = [row["cluster"] == "" for row in before]
    assert any(gaps) == (options[:2] == ["--missing", "drop"] or "--missing" not in options)


def test_columns_are_found_by_name(invoke, fitted, tmp_path):
    _, out = fitted()
    new, moved = tmp_path / "new.csv", tmp_path / "moved.csv"
    write_rows(new, "abc", [[0, 100, 5], [20, 900, 6], [10, 300, 5]])
    write_rows(
        moved,
        ["c", "note", "b", "year", "a"],
        [[5, "x", 100, 1, 0], [6, "y", 900, 2, 20], [5, "z", 300, 3, 10]],
    )
    here, there = (invoke("predict", out / "model.npz", file) for file in (new, moved))
    assert here.stdout == there.stdout
    assert len({row["cluster"] for row in labels(here.stdout)}) == 3
    assert "year: not in the model" in there.stderr
    assert "3 rows by a, b, c" in there.stderr


def test_a_single_new_row(invoke, fitted, tmp_path):
    _, out = fitted("--missing", "median")
    write_rows(tmp_path / "new.csv", "abc", [[0, "", 5]])
    (row,) = labels(invoke("predict", out / "model.npz", tmp_path / "new.csv").stdout)
    write_rows(tmp_path / "known.csv", "abc", [[0, np.load(out / "model.npz")["fill"][1], 5]])
    (known,) = labels(invoke("predict", out / "model.npz", tmp_path / "known.csv").stdout)
    assert row["cluster"] == known["cluster"]
    assert float(row["distance"]) == pytest.approx(float(known["distance"]))


def test_gaps_get_no_label_where_the_model_does_not_fill(invoke, fitted, tmp_path):
    _, out = fitted()
    write_rows(tmp_path / "new.csv", "abc", [[0, "", 5], [20, 900, 6]])
    result = invoke("predict", out / "model.npz", tmp_path / "new.csv")
    assert [row["cluster"] == "" for row in labels(result.stdout)] == [True, False]
    assert "1 row with a missing value" in result.stderr


def test_labels_go_to_a_file(invoke, fitted, tmp_path):
    path, out = fitted()
    shown = invoke("predict", out / "model.npz", path).stdout
    result = invoke("predict", out / "model.npz", path, "-o", tmp_path / "deep" / "new.csv")
    assert result.stdout == ""
    assert (tmp_path / "deep" / "new.csv").read_text() == shown
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["new.csv"]


def test_images_and_arrays(invoke, tmp_path):
    from PIL import Image

    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = (250, 10, 10)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.asarray([[1, 2], [1, 3], [9, 9.5]], dtype=np.float32))
    for name in ("a.png", "b.npy"):
        out = tmp_path / name[0]
        invoke("cluster", tmp_path / name, "-k", "2", "--no-report", "--out", out)
        result = invoke("predict", out / "model.npz", tmp_path / name)
        assert result.stdout == (out / "labels.csv").read_text()


def test_the_model_is_plain_numbers_and_json(fitted):
    _, out = fitted("--missing", "median")
    with np.load(out / "model.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["about", "centroids", "fill", "scale", "shift"]
        about = json.loads(str(file["about"]))
        assert file["centroids"].shape == (3, 3)
    assert about["format"] == "kmeans-fx model"
    assert about["version"] == 1
    assert about["columns"] == ["a", "b", "c"]
    assert about["metric"] == "sqeuclidean"
    assert about["options"]["scale"] == "standard"


def test_columns_that_lack(invoke, fitted, tmp_path):
    _, out = fitted()
    write_rows(tmp_path / "new.csv", ["a", "B", "c"], [[1, 2, "x"], [3, 4, "y"]])
    result = invoke("predict", out / "model.npz", tmp_path / "new.csv", code=2)
    assert (
        "new.csv lacks columns of the model: b (not there), c (not numeric ('x' in row 1))"
        in result.stderr
    )
    assert result.stdout == ""


def test_an_infinite_value(invoke, fitted, tmp_path):
    _, out = fitted()
    write_rows(tmp_path / "new.csv", "abc", [[1, 2, 3], [3, "inf", 4]])
    result = invoke("predict", out / "model.npz", tmp_path / "new.csv", code=2)
    assert "new.csv has an infinite value in row 2 of b" in result.stderr


def spoilt(model, **changes):
    """The arrays of a model, with some replaced and the ``about`` updated."""
    arrays = dict(np.load(model))
    about = json.loads(str(arrays["about"])) | changes.pop("about", {})
    arrays["about"] = np.asarray(json.dumps(about))
    arrays |= changes
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"about": {"version": 2}}, "its version is 2, and this release reads up to 1"),
        ({"about": {"version": "1"}}, "its version is '1'"),
        ({"about": {"format": "other"}}, "it has no text `about`"),
        ({"about": {"metric": "hamming"}}, "it has the unknown metric 'hamming'"),
        ({"about": {"metric": ["sqeuclidean"]}}, "it has the unknown metric"),
        ({"about": {"columns": ["a", "b", "a"]}}, "its columns are no list of different names"),
        ({"about": {"columns": None}}, "its columns are no list of different names"),
        ({"about": {"columns": ["a", "b"]}}, "its centroids of shape (3, 3) do not fit 2 columns"),
        ({"centroids": np.zeros((0, 3))}, "its centroids of shape (0, 3) do not fit 3 columns"),
        ({"centroids": np.full((3, 3), np.nan)}, "its centroids is not made of finite numbers"),
        ({"shift": np.zeros(4)}, "its shift of shape (4,) does not fit its columns"),
        ({"scale": np.zeros(3)}, "its scale is not positive"),
        ({"scale": np.asarray(["a", "b", "c"])}, "its scale is not made of finite numbers"),
        ({"fill": np.full(3, np.inf)}, "its fill is not made of finite numbers"),
        ({"scale": None}, "its arrays are centroids, shift"),
        ({"more": np.zeros(3)}, "its arrays are centroids, more"),
    ],
)
def test_a_spoilt_model_is_refused(invoke, fitted, tmp_path, changes, sentence):
    path, out = fitted()
    np.savez(tmp_path / "spoilt.npz", **spoilt(out / "model.npz", **changes))
    result = invoke("predict", tmp_path / "spoilt.npz", path, code=2)
    assert f"spoilt.npz is not a model file: {sentence}" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04 and then nothing"])
def test_other_files_are_no_model(invoke, fitted, tmp_path, content):
    path, _ = fitted()
    (tmp_path / "other.npz").write_bytes(content)
    result = invoke("predict", tmp_path / "other.npz", path, code=2)
    assert "other.npz is not a model file" in result.stderr


def test_a_pickle_is_not_loaded(invoke, fitted, tmp_path):
    path, out = fitted()
    arrays = spoilt(out / "model.npz") | {"centroids": np.asarray([{}], dtype=object)}
    np.savez(tmp_path / "pickled.npz", **arrays)
    result = invoke("predict", tmp_path / "pickled.npz", path, code=2)
    assert "pickled.npz is not a model file: it is no readable NPZ file" in result.stderr


def test_a_cut_file_is_no_model(invoke, fitted, tmp_path):
    path, out = fitted()
    whole = (out / "model.npz").read_bytes()
    for size in range(1, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        result = invoke("predict", tmp_path / "cut.npz", path, code=2)
        assert "cut.npz is not a model file" in result.stderr
