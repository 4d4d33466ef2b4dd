"""The commands of ``kmeans-fx``: arguments in, calls, words out."""

import sys
from pathlib import Path

import click

import kmeans_fx
from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.cli.fitting import fit
from kmeans_fx.cli.judging import judge, retry
from kmeans_fx.cli.loading import load
from kmeans_fx.cli.model import load_model
from kmeans_fx.cli.options import (
    FILE,
    fitting_options,
    reading_options,
    refuse_both,
    sample_option,
    seed_option,
    sweeping_options,
)
from kmeans_fx.cli.predicting import label_rows
from kmeans_fx.cli.printing import (
    print_clusters,
    print_files,
    print_predicted,
    print_quality,
    print_quantized,
    print_selection,
    print_sweep,
)
from kmeans_fx.cli.progress import progress, starts
from kmeans_fx.cli.quantizing import pixels_of, quantize_pixels, save_palette
from kmeans_fx.cli.reading import read
from kmeans_fx.cli.results import write_results, write_sweep
from kmeans_fx.cli.sweeping import enough, sweep_job
from kmeans_fx.cli.writing import check_folder, staged_file, write_labels

_TABLES = "FILE is a table (.csv, .tsv, .txt, .parquet), an array (.npy) or an image"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(kmeans_fx.__version__, message="%(version)s")
def app():
    """Find groups of similar rows in a file of numbers."""


@app.command()
@click.argument("file", type=FILE)
@click.option(
    "-k",
    "k",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of clusters.  [default: chosen from --ks]",
)
@sweeping_options
@sample_option
@reading_options
@fitting_options
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write report.html, model.npz, labels.csv, centroids.csv and summary.json here.",
)
@click.option(
    "--report/--no-report",
    "judged",
    default=True,
    help="Judge the clusters and, with --out, write the report. It takes seconds.",
)
def cluster(file, k, ks, choose, references, sample, out, judged, columns, drop, **options):
    """Cluster the rows of FILE.

    FILE is a table (.csv, .tsv, .txt, .parquet), an array (.npy) or an image (.png, .jpg: the
    rows are pixels). Nothing is written without --out.
    """
    refuse_both(k, ks, choose)
    if out is not None:
        check_folder(out)
    job = load(file, columns=columns, drop=drop, show=print_selection, **options)
    swept, quality, trust = None, None, None
    with progress() as step:
        if k is None:
            swept = sweep_job(job, ks, choose, references, sample, step)
            k = swept.k
        move = step("Clustering", options["n_init"])
        clusters = fit(job, k, callback=starts(move, options["n_init"]))
        sample = enough(sample, k)
        if judged and (swept or out is not None):
            step("Judging the clusters")
            quality, trust = judge(job, clusters, sample), retry(job, clusters, sample)
    if swept:
        print_sweep(swept)
    print_clusters(clusters, job.selection.names, job.options)
    if quality:
        print_quality(quality, trust)
    paths = []
    if out is not None:
        with progress() as step:
            step("Writing the report")
            paths = write_results(out, job, clusters, quality, trust, swept, sample)
    print_files(paths)


@app.command()
@click.argument("file", type=FILE)
@sweeping_options
@sample_option
@reading_options
@fitting_options
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write sweep.csv, sweep.json and pictures here.",
)
def sweep(file, ks, choose, references, sample, out, columns, drop, **options):
    """Compare numbers of clusters for the rows of FILE.

    FILE is what `kmeans-fx cluster` takes. Nothing is written without --out.
    """
    if out is not None:
        check_folder(out)
    job = load(file, columns=columns, drop=drop, show=print_selection, **options)
    with progress() as step:
        swept = sweep_job(job, ks, choose, references, sample, step)
    print_sweep(swept)
    paths = write_sweep(out, job, swept) if out is not None else []
    print_files(paths, "--out DIR saves the table and pictures")


@app.command()
@click.argument("model", type=FILE)
@click.argument("file", type=FILE)
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the labels to this CSV file instead of standard output.",
)
def predict(model, file, out):
    """Label the rows of FILE with the clusters of MODEL.

    MODEL is the model.npz that `kmeans-fx cluster --out` writes. Columns are found by their
    names and treated as those that were clustered. Labels go to standard output, what there is to
    say about them to standard error.
    """
    if out is not None:
        check_folder(out.parent, "--out")
    known = load_model(model)
    source = read(file)
    found = label_rows(known, source, file)
    print_predicted(file, source, known, found)
    if out is None:
        write_labels(sys.stdout, found.labels, found.distances, found.used)
    else:
        with staged_file(out) as path, path.open("w", encoding="utf-8", newline="") as lines:
            write_labels(lines, found.labels, found.distances, found.used)


@app.command()
@click.argument("image", type=FILE)
@click.option(
    "-k", "k", metavar="N", type=click.IntRange(1, 256), default=16, help="Number of colours."
)
@click.option(
    "-o",
    "--out",
    metavar="OUT.png",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The PNG to write.",
)
@click.option("--dither", is_flag=True, help="Hide the edges between colours in fine noise.")
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=0),
    default=50_000,
    help="Find the colours on so many pixels; 0: on all.",
)
@click.option(
    "--n-init", metavar="N", type=click.IntRange(min=1), default=3, help="Number of starts."
)
@seed_option
def quantize(image, k, out, dither, sample, n_init, seed):
    """Write IMAGE with a palette of few colours."""
    check_folder(out.parent, "--out")
    if out.suffix.lower() != ".png":
        msg = f"--out: {out} must end in .png: only PNG has a palette here"
        raise BadInputError(msg)
    source = read(image)
    pixels = pixels_of(source, image)
    with progress() as step:
        step("Looking for colours")
        found = quantize_pixels(pixels, k, sample=sample, key=seed, n_init=n_init, dither=dither)
    with staged_file(out) as path:
        save_palette(path, found.labels, found.palette)
        size = path.stat().st_size
    print_quantized(image, source, found, size)
    print_files([out])
