"""New rows for the clusters of a model."""

from typing import NamedTuple

import numpy as np

from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.cli.model import predict
from kmeans_fx.cli.reading import NO_VALUES


class Predicted(NamedTuple):
    """Labels of new rows.

    Attributes
    ----------
    labels, distances : array (m,)
    used : bool array (n,)
        Which m of the n rows these are.
    unused : list of str
        Columns of the file that the model does not know.
    """

    labels: np.ndarray
    distances: np.ndarray
    used: np.ndarray
    unused: list


def label_rows(model, source, path):
    """Label the rows of a source, whose columns are found by name."""
    values = np.column_stack(_columns(model, source, path))
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        msg = f"{path} has an infinite value in row {row + 1} of {model.columns[column]}"
        raise BadInputError(msg)
    unused = [name for name in source.columns if name not in model.columns]
    labels, distances, used = predict(model, values)
    return Predicted(labels, distances, used, unused)


def _columns(model, source, path):
    """The columns of the model; one without any value is a gap in every row."""
    lacking = [
        f"{name} ({source.left_out.get(name, 'not there')})"
        for name in model.columns
        if name not in source.columns and source.left_out.get(name) != NO_VALUES
    ]
    if lacking:
        msg = f"{path} lacks columns of the model: {', '.join(lacking)}"
        raise BadInputError(msg)
    gap = np.full(source.rows, np.nan)
    return [source.columns.get(name, gap) for name in model.columns]
