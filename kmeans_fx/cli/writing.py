"""The files of a run. Each appears whole or not at all."""

import csv
import json
import os
from contextlib import contextmanager
from math import isnan
from secrets import token_hex
from shutil import rmtree

import numpy as np

from kmeans_fx.cli.errors import BadInputError


def check_folder(folder, option="--out"):
    """Refuse, before the work, a folder that cannot be written to."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        msg = f"{option}: {nearest} is not a folder"
        raise BadInputError(msg)
    if not os.access(nearest, os.W_OK):
        msg = f"{option}: {nearest} cannot be written to"
        raise BadInputError(msg)


@contextmanager
def staged(folder):
    """A folder beside the final files, whose content moves there if all goes well."""
    fresh, stage = not folder.exists(), folder / f".kmeans-fx-{token_hex(8)}"
    # Ctrl-C may come as soon as there is a folder: it is made where it will be removed.
    try:
        stage.mkdir(parents=True)
        yield stage
        for path in sorted(stage.iterdir()):
            path.replace(folder / path.name)
    finally:
        rmtree(stage, ignore_errors=True)
        if fresh and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def staged_file(path):
    """A path to write to, whose file moves to ``path`` if all goes well."""
    with staged(path.parent) as stage:
        yield stage / path.name


def write_labels(file, labels, distances, used):
    """One line for every row of the input, empty where the row was left out."""
    found = zip(labels.tolist(), distances.tolist(), strict=True)
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["row", "cluster", "distance"])
    for row, is_used in enumerate(used.tolist(), start=1):
        lines.writerow([row, *(next(found) if is_used else ("", ""))])


def write_table(path, heading, rows):
    """A CSV file; a number that is not defined, NaN, stays empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(heading)
        lines.writerows([_or_empty(value) for value in row] for row in rows)


def _or_empty(value):
    return "" if isinstance(value, float) and isnan(value) else value


def write_json(path, content):
    """A JSON file; what is not a finite number becomes null."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(content):
    """Only what JSON knows."""
    match content:
        case dict():
            return {key: _plain(value) for key, value in content.items()}
        case list() | tuple():
            return [_plain(value) for value in content]
        case np.ndarray() | np.generic():
            return _plain(content.tolist())
        case float():
            return content if np.isfinite(content) else None
    return content
