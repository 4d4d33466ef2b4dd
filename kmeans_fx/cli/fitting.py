"""Fill, scale, fit, and bring the centroids back to the units of the file."""

from typing import Any, NamedTuple

import numpy as np

import kmeans_fx
from kmeans_fx import preprocess
from kmeans_fx._backend.namespace import is_jax_namespace
from kmeans_fx.cli.errors import BadInputError

SCALINGS = {
    "standard": preprocess.standardize,
    "minmax": preprocess.minmax_scale,
    "robust": preprocess.robust_scale,
    "none": None,
}
FILLINGS = ("mean", "median")


class Prepared(NamedTuple):
    """Rows ready to be clustered, in the library of ``--backend``, and how they came about.

    Attributes
    ----------
    x : array (n, d)
    fill : array (d,) or None
        What stands for a missing value, in NumPy.
    shift, scale : array (d,)
        In NumPy: ``x = (values - shift) / scale``.
    """

    x: Any
    fill: np.ndarray | None
    shift: np.ndarray
    scale: np.ndarray


class Clusters(NamedTuple):
    """A fit in NumPy arrays.

    Attributes
    ----------
    labels, distances : array (n,)
        Of the rows that were clustered; distances in scaled units.
    scaled : array (k, d)
        The centroids in scaled units.
    centroids : array (k, d)
        In the units of the file; directions of length 1 for the cosine metric.
    sizes, inertias : array (k,)
    inertia : float
    n_iter : int
    status : str
    """

    labels: np.ndarray
    distances: np.ndarray
    scaled: np.ndarray
    centroids: np.ndarray
    sizes: np.ndarray
    inertias: np.ndarray
    inertia: float
    n_iter: int
    status: str


def prepare(xp, values, *, scale, missing):
    """Fill the gaps of a NumPy array and make its columns comparable."""
    x, fill = xp.asarray(values), None
    if missing in FILLINGS:
        x, gaps = preprocess.impute(x, method=missing)
        fill = np.asarray(gaps.fill).reshape(-1)
    scaling = SCALINGS[scale]
    if scaling is None:
        zeros = np.zeros(x.shape[1], dtype=values.dtype)
        return Prepared(x, fill, zeros, zeros + 1)
    x, params = scaling(x)
    return Prepared(x, fill, np.asarray(params.shift)[0], np.asarray(params.scale)[0])


def fit(job, k, *, callback):
    """Cluster the prepared rows of a job."""
    x, metric = job.prepared.x, job.options["metric"]
    options = {name: job.options[name] for name in ("metric", "n_init", "max_iter")}
    # JAX runs the whole fit as one program; step by step it would compile for longer.
    callback = None if is_jax_namespace(job.xp) else callback
    try:
        result = kmeans_fx.kmeans(x, k, key=job.options["seed"], callback=callback, **options)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    if int(result.status) == kmeans_fx.NONFINITE:
        raise BadInputError(kmeans_fx.describe(result.status))
    distances = np.asarray(kmeans_fx.assign(x, result.centroids, metric=metric).distances)
    labels, scaled = np.asarray(result.labels), np.asarray(result.centroids)
    return Clusters(
        labels=labels,
        distances=distances,
        scaled=scaled,
        centroids=_in_units_of_the_file(scaled, job.prepared, metric),
        sizes=np.bincount(labels, minlength=k),
        inertias=np.bincount(labels, weights=distances, minlength=k),
        inertia=float(result.inertia),
        n_iter=int(result.n_iter),
        status=kmeans_fx.describe(result.status),
    )


def painted(clusters, shape):
    """The image (h, w, 3) of which the rows are the pixels, in the colours of the centroids."""
    palette = np.clip(np.rint(clusters.centroids), 0, 255).astype(np.uint8)
    return palette[clusters.labels].reshape(*shape, 3)


def _in_units_of_the_file(centroids, prepared, metric):
    # Directions have no place in the units of the file.
    if metric == "cosine":
        return centroids
    params = preprocess.ScaleParams(prepared.shift[None], prepared.scale[None])
    return preprocess.invert_scale(centroids, params)
