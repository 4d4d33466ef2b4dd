"""What ``--out`` leaves in its folder."""

import kmeans_fx
from kmeans_fx.cli.explaining import report
from kmeans_fx.cli.fitting import painted
from kmeans_fx.cli.model import Model, save_model
from kmeans_fx.cli.pictures import sweep_pictures
from kmeans_fx.cli.sweeping import SCORES
from kmeans_fx.cli.writing import staged, write_json, write_labels, write_table


def write_results(folder, job, clusters, quality, trust, swept, sample):
    """Write labels, centroids, a model and a summary.

    Also a report of clusters that were judged, the table of a sweep, and of an image its
    quantised form.

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
        write_json(stage / "summary.json", _summary(job, clusters, quality, trust, swept))
        if quality:
            text = report(job, clusters, quality, trust, swept, sample)
            (stage / "report.html").write_text(text, encoding="utf-8")
        if swept:
            _write_scores(stage / "sweep.csv", swept.sweep)
        if job.source.shape is not None:
            _write_image(stage / "quantized.png", clusters, job.source.shape)
        written = sorted(path.name for path in stage.iterdir())
    return [folder / name for name in written]


def write_sweep(folder, job, swept):
    """Write the criteria as a table and as JSON, and their pictures.

    Returns
    -------
    list of Path
    """
    with staged(folder) as stage:
        _write_scores(stage / "sweep.csv", swept.sweep)
        write_json(stage / "sweep.json", {**_about(job), "sweep": _swept(swept)})
        for picture in sweep_pictures(swept):
            (stage / f"{picture.name}.png").write_bytes(picture.png)
        written = sorted(path.name for path in stage.iterdir())
    return [folder / name for name in written]


def _write_scores(path, found):
    columns = [found.ks.tolist(), *(getattr(found, name).tolist() for name in SCORES)]
    write_table(path, ["k", *SCORES], zip(*columns, strict=True))


def _model(job, clusters):
    return Model(
        columns=job.selection.names,
        metric=job.options["metric"],
        centroids=clusters.scaled,
        shift=job.prepared.shift,
        scale=job.prepared.scale,
        fill=job.prepared.fill,
    )


def _summary(job, clusters, quality, trust, swept):
    """Everything that tells how the result came about."""
    fill = job.prepared.fill
    about = _about(job)
    about["options"] = {"k": len(clusters.sizes), **about["options"]}
    return {
        **about,
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
        **({"quality": _quality(quality, trust)} if quality else {}),
        **({"sweep": _swept(swept)} if swept else {}),
    }


def _quality(quality, trust):
    return {
        "silhouette": quality.silhouette,
        "davies_bouldin": quality.davies_bouldin,
        "calinski_harabasz": quality.calinski_harabasz,
        "jaccard": trust.jaccard,
        "agreement_of_starts": trust.mean,
    }


def _about(job):
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
        "options": job.options,
    }


def _swept(swept):
    return {
        "rows": swept.rows,
        "k": swept.k,
        "method": swept.method,
        "reason": swept.reason,
        "ks": swept.sweep.ks,
        **{name: getattr(swept.sweep, name) for name in SCORES},
        "choices": {
            name: {"k": choice.k, "reason": choice.reason} for name, choice in swept.choices.items()
        },
    }


def _write_image(path, clusters, shape):
    from PIL import Image

    Image.fromarray(painted(clusters, shape)).save(path)
