"""A file of any kind as named columns of numbers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kmeans_fx.cli import tables
from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.cli.tables import NO_VALUES


class Source(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    kind : {"table", "array", "image"}
    note : str
        How the file was read.
    columns : dict of str to array (rows,)
        The columns that hold numbers, with NaN where a value is missing.
    left_out : dict of str to str
        The other columns, and why.
    rows : int
    shape : tuple of int or None
        Height and width of an image.
    """

    kind: str
    note: str
    columns: dict
    left_out: dict
    rows: int
    shape: tuple | None = None


def read(path):
    """Read a table, an array or an image, by the ending of its name."""
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        msg = f"{path} has an unknown ending; expected one of {', '.join(_READERS)}"
        raise BadInputError(msg)
    if path.stat().st_size == 0:
        msg = f"{path} is empty"
        raise BadInputError(msg)
    source = reader(path)
    if source.rows == 0:
        msg = f"{path} has no rows"
        raise BadInputError(msg)
    # NaN stored as a number: the readers see an empty column only by its nulls.
    empty = [name for name, column in source.columns.items() if np.isnan(column).all()]
    columns = {name: column for name, column in source.columns.items() if name not in empty}
    left_out = {**source.left_out, **dict.fromkeys(empty, NO_VALUES)}
    return source._replace(columns=columns, left_out=left_out)


def _text(path):
    table, note = tables.read_text(path)
    columns, left_out = tables.numeric_columns(table, path)
    return Source("table", note, columns, left_out, table.num_rows)


def _parquet(path):
    table, hidden = tables.read_parquet(path)
    columns, left_out = tables.numeric_columns(table, path)
    return Source("table", "Parquet", columns, {**left_out, **hidden}, table.num_rows)


def _npy(path):
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        msg = f"{path} is not a readable NPY file: {error}"
        raise BadInputError(msg) from None
    if (
        not isinstance(array, np.ndarray)
        or array.ndim not in (1, 2)
        or array.dtype.kind not in "biuf"
    ):
        msg = f"{path} must hold one array of real numbers with one or two dimensions"
        raise BadInputError(msg)
    array = array[:, None] if array.ndim == 1 else array
    # float16 would lose digits in the sums of a scaling.
    array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    columns = {f"x{i}": array[:, i] for i in range(array.shape[1])}
    return Source("array", f"NPY, {array.dtype}", columns, {}, len(array))


def _image(path):
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
    except (UnidentifiedImageError, OSError) as error:
        msg = f"{path} is not a readable image: {error}"
        raise BadInputError(msg) from None
    if image.mode.startswith(("I", "F")):
        msg = f"{path} has more than 8 bits a channel (mode {image.mode}), which is not supported"
        raise BadInputError(msg)
    note = f"image of {image.width} x {image.height} pixels"
    note += ", transparency ignored" if image.has_transparency_data else ""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64).reshape(-1, 3)
    columns = dict(zip(("red", "green", "blue"), pixels.T, strict=True))
    return Source("image", note, columns, {}, len(pixels), (image.height, image.width))


_READERS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _text),
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    ".npy": _npy,
    **dict.fromkeys((".png", ".jpg", ".jpeg"), _image),
}
