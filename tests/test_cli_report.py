"""The report: one file, for every reader."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

pytestmark = pytest.mark.backend("numpy")

VOID = {"br", "hr", "img", "link", "meta"}


@pytest.fixture
def report(tmp_path):
    """``report(file, *options)``: the parsed report of a run."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def run(file, *options):
        out = tmp_path / "out"
        arguments = ["cluster", str(file), *options, "--out", str(out)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return Page((out / "report.html").read_text(encoding="utf-8"))

    return run


class Page(HTMLParser):
    """Elements of a page in order, and that every one is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open, self.source = [], [], [], text
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


SWEEP = ["--references", "2", "--n-init", "2", "--ks", "1-5"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a sweep over three groups, with names that would be markup."""
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    rng = np.random.default_rng(0)
    x = np.repeat([[0, 0, 0], [9, 0, 5], [0, 9, -5]], 20, axis=0) + rng.normal(size=(60, 3))
    names = "<script>alert(1)</script>,a & b,width_of_the_whole_thing"
    folder = tmp_path_factory.mktemp("report")
    path = folder / "table.csv"
    path.write_text("\n".join([names, *map(",".join, x.astype(str))]) + "\n")
    result = CliRunner().invoke(app, ["cluster", str(path), *SWEEP, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_report_needs_nothing_else(page):
    for tag in ("script", "link", "iframe", "object"):
        assert page.all(tag) == []
    for _, attrs in page.elements:
        assert not {"href", "onclick", "onload", "srcset"} & attrs.keys()
        assert attrs.get("src", "data:").startswith("data:image/png;base64,") or "src" not in attrs
    assert not re.search(r"https?:|url\(|@import", page.source)
    (policy,) = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"].startswith("default-src 'none'")


def test_the_report_can_be_read_in_every_way(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert "@media print" in page.source
    assert len(page.all("table")) == len(page.all("caption")) == len(page.all("thead")) >= 6
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("figcaption")) == len(page.all("img")) >= 8
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels == [1] + [2] * (len(levels) - 1)


def test_pictures_are_whole(page):
    from io import BytesIO

    from PIL import Image

    for attrs in page.all("img"):
        image = Image.open(BytesIO(base64.b64decode(attrs["src"].partition(",")[2])))
        image.load()
        assert (str(image.width), str(image.height)) == (attrs["width"], attrs["height"])
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_names_are_no_markup(page):
    assert "<script>alert(1)</script>" in page.text
    assert "a & b" in page.text


def test_the_report_says_what_was_found(page):
    for words in (
        "3 clusters in table.csv",
        "3 clusters. By silhouette: ",
        "The largest has 20 rows, the smallest 20 rows.",
        "How many clusters",
        "What each criterion says",
        "How good they are",
        "highly stable",
        "every column to mean 0 and variance 1",
        "kmeans-fx predict model.npz",
    ):
        assert words in page.text
    assert re.search(r"high a & b \(9\.\d+, mean 3\.\d+\)", page.text)


def test_with_k_there_is_no_sweep_to_report(report, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,1\n9,8\n8,9\n")
    page = report(tmp_path / "t.csv", "-k", "2", "--n-init", "2")
    assert "2 clusters, as asked for." in page.text
    assert "How many clusters" not in page.text


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a\n1\n2\n9\n", ["-k", "1"], "The scores compare clusters: they need two or more."),
        ("a\n1\n2\n9\n", ["-k", "3"], "The scores compare clusters"),
        ("a,b\n1,2\n2,5\n9,1\n", ["-k", "2", "--n-init", "1"], "2 clusters"),
        ("a,b\n1,\n2,5\n9,1\n4,4\n", ["-k", "2", "--missing", "mean"], "1 missing value (12.5%)"),
        ("a,b\n1,1\n2,1\n9,1\n", ["-k", "2"], "Constant b"),
    ],
)
def test_small_tables(report, tmp_path, text, options, words):
    (tmp_path / "t.csv").write_text(text)
    assert words in report(tmp_path / "t.csv", *options).text


def test_many_columns_and_clusters(report, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(200, 12)))
    page = report(tmp_path / "x.npy", "-k", "25", "--n-init", "2")
    assert "x11" in page.text
    assert len(page.all("img")) >= 2


def test_images_show_their_colours(report, tmp_path):
    from PIL import Image

    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8], pixels[8:] = (250, 10, 10), (10, 10, 240)
    Image.fromarray(pixels).save(tmp_path / "i.png")
    page = report(tmp_path / "i.png", "-k", "2")
    colours = {attrs["style"] for attrs in page.all("span")}
    assert colours == {"background: #fa0a0a", "background: #0a0af0"}
    assert any("as it was, and in 2 colours" in image["alt"] for image in page.all("img"))
