"""The contenders by name."""

from importlib import metadata

from .base import Contender
from .faiss import Faiss
from .fastkmeans import FastKMeans
from .geokmeans import GeoKMeans
from .intelex import Intelex
from .kmeans_fx import FastJax, FastNumPy, FastTorch, Jax, NumPy, Restarts, Torch
from .ott import Ott
from .scikit_learn import Elkan, Lloyd, MiniBatch
from .scipy import SciPy
from .superkmeans import SuperKMeans
from .torch_kmeans import TorchKMeans

ALL: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        NumPy,
        Torch,
        Jax,
        FastNumPy,
        FastTorch,
        FastJax,
        Restarts,
        Lloyd,
        Elkan,
        MiniBatch,
        Intelex,
        Faiss,
        SuperKMeans,
        SciPy,
        GeoKMeans,
        FastKMeans,
        Ott,
        TorchKMeans,
    )
}


def choose(patterns: list[str]) -> list[type[Contender]]:
    """Return the contenders that are named, or whose names begin so, in the order of `ALL`."""
    chosen: set[str] = set()
    for pattern in patterns:
        found = {pattern} & set(ALL) or {name for name in ALL if name.startswith(pattern)}
        if not found:
            known = ", ".join(ALL)
            raise ValueError(f"contenders: no name starts with {pattern!r}; known: {known}")
        chosen |= found
    return [contender for name, contender in ALL.items() if name in chosen]


def missing(contender: type[Contender]) -> list[str]:
    """Name the distributions that a contender needs and that are not installed."""
    return [name for name in contender.requires if not version(name)]


def version(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
