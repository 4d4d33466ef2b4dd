"""From the arguments of a command to rows that can be clustered."""

from pathlib import Path
from typing import Any, NamedTuple

from kmeans_fx.cli.backend import load_namespace
from kmeans_fx.cli.fitting import FILLINGS, Prepared, prepare
from kmeans_fx.cli.reading import Source, read
from kmeans_fx.cli.selecting import Selection, select


class Job(NamedTuple):
    """A file, what of it is used, and how.

    Attributes
    ----------
    path : Path
    source : Source
    selection : Selection
    prepared : Prepared
    xp : module
        The library of ``--backend``.
    options : dict
        ``missing``, ``scale``, ``metric``, ``backend``, ``seed``, ``n_init``, ``max_iter``.
    """

    path: Path
    source: Source
    selection: Selection
    prepared: Prepared
    xp: Any
    options: dict


def load(path, *, columns, drop, show, **options):
    """Read a file, select from it, ``show`` what is used, and prepare that."""
    source = read(path)
    selection = select(source, columns, drop, path, fill=options["missing"] in FILLINGS)
    xp = load_namespace(options["backend"])
    if options["scale"] is None:
        plain = source.kind == "image" or options["metric"] == "cosine"
        options["scale"] = "none" if plain else "standard"
    show(path, source, selection, options["missing"])
    scale, missing = options["scale"], options["missing"]
    prepared = prepare(xp, selection.values, scale=scale, missing=missing)
    return Job(path, source, selection, prepared, xp, options)
