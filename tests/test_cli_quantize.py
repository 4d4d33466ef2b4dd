"""Images in few colours, on the command line."""

import re

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.backend("numpy")


@pytest.fixture
def invoke():
    """``invoke(*arguments, code=0)``: the result of a run that ends with that code."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, ["quantize", *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def image(tmp_path):
    """An image of smooth colours and some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    pixels = np.stack([4 * x, 5 * y, 128 + 0 * x], axis=-1) + rng.integers(0, 9, size=(48, 64, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.mark.parametrize(("k", "bits"), [(1, 1), (2, 1), (4, 2), (16, 4), (17, 8), (256, 8)])
def test_a_palette(invoke, image, tmp_path, k, bits):
    out = tmp_path / "out.png"
    result = invoke(image, "-k", k, "-o", out, "--n-init", "1")
    content = out.read_bytes()
    assert content[24] == bits  # the depth and the kind of colour in the header of a PNG file
    assert content[25] == 3
    after = Image.open(out)
    assert after.mode == "P"
    before, after = (np.asarray(i.convert("RGB")).astype(float) for i in (Image.open(image), after))
    assert before.shape == after.shape
    assert len(np.unique(after.reshape(-1, 3), axis=0)) == k
    psnr = 10 * np.log10(255**2 / np.mean((before - after) ** 2))
    assert float(re.search(r"PSNR +([\d.]+) dB", result.stdout)[1]) == pytest.approx(psnr, abs=0.01)
    sizes = f"{image.stat().st_size:,} bytes, now {out.stat().st_size:,}"
    assert sizes in result.stdout
    assert re.search(r"Pixels +9,216 bytes, now [\d,]+: [\d.]+% saved", result.stdout)


def test_more_colours_are_nearer(invoke, image, tmp_path):
    found = []
    for k in (2, 8, 64):
        text = invoke(image, "-k", k, "-o", tmp_path / "o.png").stdout
        found.append(float(re.search(r"PSNR +([\d.]+)", text)[1]))
    assert found[0] + 3 < found[1] < found[2] - 3


def test_options_reach_the_function(invoke, image, tmp_path):
    contents = []
    for options in ([], [], ["--seed", "7"], ["--dither"], ["--sample", "50"]):
        invoke(image, "-k", "6", "-o", tmp_path / "o.png", "--n-init", "1", *options)
        contents.append((tmp_path / "o.png").read_bytes())
    assert contents[0] == contents[1]
    assert len(set(contents)) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "out.jpg"], "out.jpg must end in .png"),
        (["-k", "257", "-o", "out.png"], "257 is not in the range 1<=x<=256"),
        ([], "Missing option '-o'"),
    ],
)
def test_bad_options(invoke, image, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in invoke(image, *options, code=2).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_more_colours_than_pixels(invoke, tmp_path):
    Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(tmp_path / "i.png")
    result = invoke(tmp_path / "i.png", "-k", "16", "-o", tmp_path / "o.png", code=2)
    assert "k must be at most" in result.stderr


def test_a_table_is_no_image(invoke, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    result = invoke(tmp_path / "t.csv", "-o", tmp_path / "o.png", code=2)
    assert "t.csv is no image; expected .png, .jpg or .jpeg" in result.stderr
