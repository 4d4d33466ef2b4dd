"""Bad input on the command line: exit code 2, one sentence, and nothing written."""

import sys

import numpy as np
import pytest

pytestmark = pytest.mark.backend("numpy")

GOOD = "a,b\n1,2\n3,4\n5,7\n8,1\n"


@pytest.fixture
def refused(tmp_path):
    """``refused(content, *options, name=...)``: the sentence with which a file is refused."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def run(content, *options, name="table.csv"):
        path, out = tmp_path / name, tmp_path / "out"
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        options = options if "-k" in options else ("-k", "2", *options)
        result = CliRunner().invoke(app, ["cluster", str(path), *options, "--out", str(out)])
        assert result.exit_code == 2, result.output
        assert not out.exists()
        sentence = result.stderr.strip().split("\n")[-1]
        assert sentence.startswith("Error: ")
        return sentence.replace(str(path), name)

    return run


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "table.csv' does not exist"),
        ("", "table.csv is empty"),
        ("\n \n", "table.csv is empty"),
        ("a,b\n", "table.csv has no rows"),
        ("a,b\n1,2\n", "table.csv has one row; at least two are needed"),
        ("a,b\n1,\n", "table.csv has one row; at least two are needed"),
        ("a,b\n1,2\n3,\n", "has 1 of 2 rows without a missing value (b lacks 1)"),
        ("a,b\n1,\n,2\n3,NA\n", "has 0 of 3 rows without a missing value (b lacks 2)"),
        ("a,b\n1,\n,2\n3,NA\n", "at least two are needed; --missing median would fill the gaps"),
        ("a,b\n1,2\n3\n", "table.csv is ragged: row 2 has 1 fields, the first line has 2"),
        ("a,b\n1,2\n3,4,5\n", "table.csv is ragged: row 2 has 3 fields, the first line has 2"),
        ("1,2\n3,4,5\n", "table.csv is ragged: row 2 has 3 fields, the first line has 2"),
        ("a,b\nx,y\nz,w\n", "no column to use (a: not numeric ('x' in row 1); b: not numeric"),
        ("a\n2020-01-01\n2021-01-01\n", "no column to use (a: not numeric (date32[day]))"),
        ("a,a\n1,2\n3,4\n", "table.csv has two columns called 'a'"),
        ("a,b\n1,2\n3,inf\n", "table.csv has an infinite value in row 2 of b"),
        ("a,b\n1,2\n3,1e999\n", "table.csv has an infinite value in row 2 of b"),
        ("a,b\n1,2\n1,2\n1,2\n", "table.csv has the same numbers in every row of a, b"),
        (b"\x93NUMPY\0\1\2", "table.csv is not a text file"),
    ],
)
def test_text(refused, content, sentence):
    assert sentence in refused(content)


BAD_TABLES = [
    ("", "table.csv is empty"),
    ("a,b\n1,2\n3\n", "table.csv is ragged: row 2 has 1 fields, the first line has 2"),
    ("a,b\nx,y\nz,w\n", "not numeric ('x' in row 1)"),
    ("a,b\n1,2\n3,inf\n", "table.csv has an infinite value in row 2 of b"),
    (b"\x93NUMPY\0\1\2", "table.csv is not a text file"),
]
# New rows may be one, or alike.
BAD_TO_FIT = [
    ("a,b\n1,2\n", "table.csv has one row; at least two are needed"),
    ("a\n1\n1\n1\n", "table.csv has the same numbers in every row of a"),
]


@pytest.mark.parametrize(
    ("command", "content", "sentence"),
    [
        *(("cluster", *case) for case in BAD_TABLES + BAD_TO_FIT),
        *(("sweep", *case) for case in BAD_TABLES + BAD_TO_FIT),
        *(("predict", *case) for case in BAD_TABLES),
    ],
)
def test_every_command_refuses_it(tmp_path, command, content, sentence):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    good, bad = tmp_path / "good.csv", tmp_path / "table.csv"
    good.write_text(GOOD)
    bad.write_bytes(content.encode() if isinstance(content, str) else content)
    arguments = [command, str(bad)]
    if command == "predict":
        fit = ["cluster", str(good), "-k", "2", "--no-report", "--out", str(tmp_path)]
        assert CliRunner().invoke(app, fit).exit_code == 0
        arguments = [command, str(tmp_path / "model.npz"), str(bad)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-k", "0"], "Invalid value for '-k': 0 is not in the range x>=1"),
        (["-k", "2.5"], "Invalid value for '-k': '2.5' is not a valid integer"),
        (["-k", "5"], "k must be at most the number of rows, 4, got 5"),
        (["--metric", "euclid"], "Invalid value for '--metric': 'euclid' is not one of"),
        (["--backend", "tensorflow"], "Invalid value for '--backend': 'tensorflow' is not one of"),
        (["--scale", "unit"], "Invalid value for '--scale': 'unit' is not one of"),
        (["--columns", "a,c"], "--columns: table.csv has no column 'c'; it has a, b"),
        (["--drop", "c"], "--drop: table.csv has no column 'c'; it has a, b"),
        (["--drop", "a,b"], "table.csv has no column to use (a: by --drop; b: by --drop)"),
        (["--columns", "a", "--drop", "a"], "--columns: 'a' cannot be used: by --drop"),
        (["--n-init", "0"], "Invalid value for '--n-init': 0 is not in the range x>=1"),
        (["--max-iter", "0"], "Invalid value for '--max-iter': 0 is not in the range x>=1"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0"),
    ],
)
def test_options(refused, options, sentence):
    assert sentence in refused(GOOD, *options)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_squares_that_overflow(refused):
    sentence = refused("a,b\n1e200,2\n-1e200,3\n5e199,1\n", "--scale", "none")
    assert "squares that overflow" in sentence


def test_a_column_that_is_not_numeric_is_named_with_its_reason(refused):
    sentence = refused("a,b\n1,x\n3,4\n5,6\n", "--columns", "a,b")
    assert "--columns: 'b' cannot be used: not numeric ('x' in row 1)" in sentence


@pytest.mark.parametrize(("library", "module"), [("torch", "torch"), ("jax", "jax")])
def test_a_library_that_is_not_installed(refused, monkeypatch, library, module):
    for name in [name for name in sys.modules if name in (module, f"{module}.numpy")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"array_api_compat.{module}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    sentence = refused(GOOD, "--backend", library)
    assert f"--backend {library} is not installed" in sentence
    assert f'python -m pip install "kmeans-fx[{library}]"' in sentence


@pytest.mark.parametrize("name", ["data.npy", "data.parquet", "data.png", "data.jpg"])
def test_files_that_are_not_what_their_name_says(refused, name):
    assert f"Error: {name} is not a readable" in refused("a,b\n1,2\n", name=name)
    assert f"Error: {name} is empty" in refused("", name=name)


def test_an_unknown_ending(refused):
    assert "data.xlsx has an unknown ending; expected one of .csv" in refused(
        GOOD, name="data.xlsx"
    )


@pytest.mark.parametrize(
    "array",
    [
        np.ones((3, 2, 2)),
        np.ones((3, 2), dtype=np.complex128),
        np.asarray([["a", "b"], ["c", "d"]]),
        np.float64(1.0),
    ],
)
def test_arrays_that_are_no_table_of_numbers(refused, tmp_path, array):
    np.save(tmp_path / "data.npy", array)
    assert "data.npy must hold one array of real numbers" in refused(None, name="data.npy")


def test_a_pickled_array_is_not_loaded(refused, tmp_path):
    np.save(tmp_path / "data.npy", np.asarray([{}, {}], dtype=object), allow_pickle=True)
    assert "data.npy is not a readable NPY file" in refused(None, name="data.npy")


def test_an_array_with_infinity(refused, tmp_path):
    np.save(tmp_path / "data.npy", np.asarray([[1.0, 2.0], [-np.inf, 3.0], [4.0, 5.0]]))
    assert "data.npy has an infinite value in row 2 of x0" in refused(None, name="data.npy")


def test_an_image_of_sixteen_bits(refused, tmp_path):
    from PIL import Image

    Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000).save(tmp_path / "g.png")
    assert "g.png has more than 8 bits a channel" in refused(None, name="g.png")


def test_out_is_a_file(tmp_path):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    (tmp_path / "table.csv").write_text(GOOD)
    (tmp_path / "out").write_text("mine")
    arguments = ["cluster", str(tmp_path / "table.csv"), "-k", "2", "--out"]
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        result = CliRunner().invoke(app, [*arguments, str(out)])
        assert result.exit_code == 2
        assert "is not a folder" in result.stderr
    assert (tmp_path / "out").read_text() == "mine"


def test_without_the_extra_the_command_says_how_to_get_it(monkeypatch, capsys):
    from kmeans_fx.cli import main

    monkeypatch.delitem(sys.modules, "kmeans_fx.cli.commands", raising=False)
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert 'python -m pip install "kmeans-fx[cli]"' in capsys.readouterr().err
