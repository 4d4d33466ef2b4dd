"""Scale, fit, and bring the centroids back to the units of the file."""

from typing import NamedTuple

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


class Clusters(NamedTuple):
    """A fit in NumPy arrays.

    Attributes
    ----------
    labels, distances : array (n,)
        Of the rows that were clustered; distances in scaled units.
    centroids : array (k, d)
        In the units of the file; directions of length 1 for the cosine metric.
    sizes, inertias : array (k,)
    inertia : float
    n_iter : int
    status : str
    shift, scale : array (d,)
        Of the scaling: ``scaled = (x - shift) / scale``.
    """

    labels: np.ndarray
    distances: np.ndarray
    centroids: np.ndarray
    sizes: np.ndarray
    inertias: np.ndarray
    inertia: float
    n_iter: int
    status: str
    shift: np.ndarray
    scale: np.ndarray


def fit(xp, values, *, k, scale, metric, seed, callback, **options):
    """Cluster the rows of a NumPy array with the array library ``xp``."""
    x, params = _scaled(xp, xp.asarray(values), scale)
    # JAX runs the whole fit as one program; step by step it would compile for longer.
    callback = None if is_jax_namespace(xp) else callback
    try:
        result = kmeans_fx.kmeans(x, k, key=seed, metric=metric, callback=callback, **options)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    if int(result.status) == kmeans_fx.NONFINITE:
        raise BadInputError(kmeans_fx.describe(result.status))
    distances = kmeans_fx.assign(x, result.centroids, metric=metric).distances
    centroids = result.centroids
    # Directions have no place in the units of the file.
    if metric != "cosine":
        centroids = preprocess.invert_scale(centroids, params)
    labels, distances = np.asarray(result.labels), np.asarray(distances)
    return Clusters(
        labels=labels,
        distances=distances,
        centroids=np.asarray(centroids),
        sizes=np.bincount(labels, minlength=k),
        inertias=np.bincount(labels, weights=distances, minlength=k),
        inertia=float(result.inertia),
        n_iter=int(result.n_iter),
        status=kmeans_fx.describe(result.status),
        shift=np.asarray(params.shift)[0],
        scale=np.asarray(params.scale)[0],
    )


def _scaled(xp, x, scale):
    scaling = SCALINGS[scale]
    if scaling is not None:
        return scaling(x)
    zeros = xp.zeros((1, x.shape[1]), dtype=x.dtype)
    return x, preprocess.ScaleParams(zeros, zeros + 1)
