"""The files of a run. Each appears whole or not at all."""

import csv
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import kmeans_fx
from kmeans_fx.cli.errors import BadInputError


def check_folder(folder):
    """Refuse, before the work, a folder that cannot be written to."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        msg = f"--out: {nearest} is not a folder"
        raise BadInputError(msg)
    if not os.access(nearest, os.W_OK):
        msg = f"--out: {nearest} cannot be written to"
        raise BadInputError(msg)


def write(folder, about, choices, clusters, selection, shape):
    """Write labels, centroids, a summary and, of an image, its quantised form.

    Returns
    -------
    list of Path
    """
    with _staged(folder) as stage:
        _write_labels(stage / "labels.csv", clusters, selection.complete)
        _write_centroids(stage / "centroids.csv", clusters, selection.names)
        _write_summary(stage / "summary.json", about, choices, clusters, selection)
        if shape is not None:
            _write_image(stage / "quantized.png", clusters, shape)
        names = sorted(path.name for path in stage.iterdir())
    return [folder / name for name in names]


@contextmanager
def _staged(folder):
    """A folder beside the final files, whose content moves there if all goes well."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".kmeans-fx-") as stage:
        yield Path(stage)
        for path in Path(stage).iterdir():
            path.replace(folder / path.name)


def _write_labels(path, clusters, complete):
    """One line for every row of the input, empty where the row was left out."""
    found = zip(clusters.labels.tolist(), clusters.distances.tolist(), strict=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["row", "cluster", "distance"])
        for row, used in enumerate(complete.tolist(), start=1):
            lines.writerow([row, *(next(found) if used else ("", ""))])


def _write_centroids(path, clusters, names):
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["cluster", *names])
        lines.writerows([i, *row] for i, row in enumerate(clusters.centroids.tolist()))


def _write_summary(path, about, choices, clusters, selection):
    """Everything that tells how the result came about, and what applies it to new rows."""
    summary = {
        "kmeans_fx": kmeans_fx.__version__,
        "input": {
            **about,
            "rows_used": len(selection.values),
            "columns": selection.names,
            "left_out": selection.left_out,
        },
        "options": choices,
        "scaling": {"shift": clusters.shift.tolist(), "scale": clusters.scale.tolist()},
        "result": {
            "inertia": clusters.inertia,
            "n_iter": clusters.n_iter,
            "status": clusters.status,
            "sizes": clusters.sizes.tolist(),
            "inertias": clusters.inertias.tolist(),
            "centroids": clusters.centroids.tolist(),
        },
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _write_image(path, clusters, shape):
    from PIL import Image

    palette = np.clip(np.rint(clusters.centroids), 0, 255).astype(np.uint8)
    Image.fromarray(palette[clusters.labels].reshape(*shape, 3)).save(path)
