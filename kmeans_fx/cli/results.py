"""What ``kmeans-fx cluster --out`` leaves in its folder."""

import numpy as np

import kmeans_fx
from kmeans_fx.cli.model import Model, save_model
from kmeans_fx.cli.writing import staged, write_json, write_labels, write_table


def write_results(folder, job, clusters):
    """Write labels, centroids, a model, a summary and, of an image, its quantised form.

    Returns
    -------
    list of Path
    """
    names = job.selection.names
    with staged(folder) as stage:
        with (stage / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            write_labels(file, clusters.labels, clusters.distances, job.selection.used)
        centroids = clusters.centroids.tolist()
        rows = [[i, *centroid] for i, centroid in enumerate(centroids)]
        write_table(stage / "centroids.csv", ["cluster", *names], rows)
        save_model(stage / "model.npz", _model(job, clusters), job.options)
        write_json(stage / "summary.json", _summary(job, clusters))
        if job.source.shape is not None:
            _write_image(stage / "quantized.png", clusters, job.source.shape)
        written = sorted(path.name for path in stage.iterdir())
    return [folder / name for name in written]


def _model(job, clusters):
    return Model(
        columns=job.selection.names,
        metric=job.options["metric"],
        centroids=clusters.scaled,
        shift=job.prepared.shift,
        scale=job.prepared.scale,
        fill=job.prepared.fill,
    )


def _summary(job, clusters):
    """Everything that tells how the result came about."""
    fill = job.prepared.fill
    return {
        "kmeans_fx": kmeans_fx.__version__,
        "input": {
            "file": str(job.path),
            "note": job.source.note,
            "rows": job.source.rows,
            "rows_used": len(job.selection.values),
            "columns": job.selection.names,
            "left_out": job.selection.left_out,
        },
        "options": {"k": len(clusters.sizes), **job.options},
        "scaling": {"shift": job.prepared.shift, "scale": job.prepared.scale},
        **({} if fill is None else {"fill": fill}),
        "result": {
            "inertia": clusters.inertia,
            "n_iter": clusters.n_iter,
            "status": clusters.status,
            "sizes": clusters.sizes,
            "inertias": clusters.inertias,
            "centroids": clusters.centroids,
        },
    }


def _write_image(path, clusters, shape):
    from PIL import Image

    palette = np.clip(np.rint(clusters.centroids), 0, 255).astype(np.uint8)
    Image.fromarray(palette[clusters.labels].reshape(*shape, 3)).save(path)
