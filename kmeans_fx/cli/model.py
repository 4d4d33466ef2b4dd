"""The model file: the centroids and the way of new rows to them, as plain arrays and JSON."""

import json
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

import kmeans_fx
from kmeans_fx import preprocess
from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.distances import METRICS

FORMAT = "kmeans-fx model"
# Raised when a reader of today would misread a file of tomorrow.
VERSION = 1
# What NumPy and zipfile raise at other, cut or pickled files; a lone array has no `files`.
_UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class Model(NamedTuple):
    """All that labels new rows.

    Attributes
    ----------
    columns : list of str
        Names of the columns, in the order of the arrays.
    metric : str
    centroids : array (k, d)
        In scaled units.
    shift, scale : array (d,)
        ``scaled = (x - shift) / scale``.
    fill : array (d,) or None
        What stands for a missing value; without it rows that miss one get no label.
    """

    columns: list
    metric: str
    centroids: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    fill: np.ndarray | None = None


def save_model(path, model, options):
    """Write a model: NPZ of numbers and of one JSON text called ``about``."""
    about = {
        "format": FORMAT,
        "version": VERSION,
        "kmeans_fx": kmeans_fx.__version__,
        "columns": model.columns,
        "metric": model.metric,
        "options": options,
    }
    arrays = {name: getattr(model, name) for name in ("centroids", "shift", "scale")}
    if model.fill is not None:
        arrays["fill"] = model.fill
    text = json.dumps(about, ensure_ascii=False, allow_nan=False)
    np.savez(path, about=np.asarray(text), **arrays)


def load_model(path):
    """Read a model; anything else is refused with the reason."""
    arrays = _arrays(path)
    about = _about(arrays.pop("about", None), path)
    columns, metric = about.get("columns"), about.get("metric")
    names = {"centroids", "shift", "scale"}
    _demand(
        names <= set(arrays) <= names | {"fill"},
        path,
        f"its arrays are {', '.join(sorted(arrays))}",
    )
    model = Model(columns, metric, **arrays)
    _demand(_is_names(columns), path, "its columns are no list of different names")
    _demand(
        isinstance(metric, str) and metric in METRICS, path, f"it has the unknown metric {metric!r}"
    )
    shape = np.shape(model.centroids)
    fits = len(shape) == 2 and shape[0] > 0 and shape[1] == len(columns)
    _demand(fits, path, f"its centroids of shape {shape} do not fit {len(columns)} columns")
    for name, array in arrays.items():
        fits = name == "centroids" or array.shape == shape[1:]
        _demand(fits, path, f"its {name} of shape {array.shape} does not fit its columns")
        real = array.dtype.kind == "f" and bool(np.isfinite(array).all())
        _demand(real, path, f"its {name} is not made of finite numbers")
    _demand(bool((model.scale > 0).all()), path, "its scale is not positive")
    return model


def predict(model, values):
    """Label rows whose columns are those of the model, NaN where a value is missing.

    Returns
    -------
    labels : integer array (m,)
    distances : array (m,)
    complete : bool array (n,)
        Which m of the n rows these are: all, if the model fills gaps.
    """
    if model.fill is not None:
        values = np.where(np.isnan(values), model.fill.astype(values.dtype), values)
    complete = ~np.isnan(values).any(axis=1)
    params = preprocess.ScaleParams(model.shift[None], model.scale[None])
    dtype = np.result_type(values, model.centroids)
    rows = preprocess.apply_scale(values[complete].astype(dtype), params)
    centroids = model.centroids.astype(dtype)
    labels, distances = kmeans_fx.assign(rows, centroids, metric=model.metric)
    return labels, distances, complete


def _arrays(path):
    try:
        # Given a path, NumPy leaves a broken file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _UNREADABLE:
        # NumPy's own words would advise to allow pickles.
        msg = f"{path} is not a model file: it is no readable NPZ file of plain arrays"
        raise BadInputError(msg) from None


def _about(text, path):
    """The JSON text of a file, if it is one of a model that this release can read."""
    try:
        about = json.loads(str(text)) if text is not None and text.ndim == 0 else {}
    except ValueError:
        about = {}
    found = isinstance(about, dict) and about.get("format") == FORMAT
    _demand(found, path, f"it has no text `about` with the format {FORMAT!r}")
    version = about.get("version")
    known = type(version) is int and 1 <= version <= VERSION
    _demand(known, path, f"its version is {version!r}, and this release reads up to {VERSION}")
    return about


def _is_names(columns):
    return (
        isinstance(columns, list)
        and all(isinstance(name, str) for name in columns)
        and len(set(columns)) == len(columns) > 0
    )


def _demand(holds, path, reason):
    if not holds:
        msg = f"{path} is not a model file: {reason}"
        raise BadInputError(msg)
