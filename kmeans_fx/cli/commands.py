"""The commands of ``kmeans-fx``: arguments in, calls, words out."""

from pathlib import Path

import click

import kmeans_fx
from kmeans_fx.cli.backend import CHOICES, load_namespace
from kmeans_fx.cli.fitting import SCALINGS, fit
from kmeans_fx.cli.printing import print_clusters, print_files, print_selection, progress
from kmeans_fx.cli.reading import read
from kmeans_fx.cli.selecting import select
from kmeans_fx.cli.writing import check_folder, write
from kmeans_fx.distances import METRICS

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(kmeans_fx.__version__, message="%(version)s")
def app():
    """Find groups of similar rows in a file of numbers."""


@app.command()
@click.argument("file", type=_FILE)
@click.option(
    "-k", "k", metavar="N", type=click.IntRange(min=1), required=True, help="Number of clusters."
)
@click.option(
    "--columns", metavar="A,B,...", help="Use these columns.  [default: all that hold numbers]"
)
@click.option("--drop", metavar="A,B,...", help="Do not use these columns.")
@click.option(
    "--scale",
    type=click.Choice(list(SCALINGS)),
    help="How to make columns comparable.  [default: standard; none for images and cosine]",
)
@click.option(
    "--metric", type=click.Choice(list(METRICS)), default="sqeuclidean", help="The distance."
)
@click.option(
    "--backend", type=click.Choice(CHOICES.split("|")), default="numpy", help="The array library."
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="The same seed gives the same clusters.",
)
@click.option(
    "--n-init",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    help="Number of starts; the best counts.",
)
@click.option(
    "--max-iter",
    metavar="N",
    type=click.IntRange(min=1),
    default=300,
    help="Most iterations of a start.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write labels.csv, centroids.csv, summary.json and, of an image, quantized.png here.",
)
def cluster(file, columns, drop, backend, scale, metric, out, **options):
    """Cluster the rows of FILE.

    FILE is a table (.csv, .tsv, .txt, .parquet), an array (.npy) or an image (.png, .jpg: the
    rows are pixels). Nothing is written without --out.
    """
    if out is not None:
        check_folder(out)
    source = read(file)
    selection = select(source, columns, drop, file)
    xp = load_namespace(backend)
    print_selection(file, source, selection)
    if scale is None:
        scale = "none" if source.kind == "image" or metric == "cosine" else "standard"
    with progress(options["n_init"]) as show:
        clusters = fit(xp, selection.values, scale=scale, metric=metric, callback=show, **options)
    choices = {"backend": backend, "scale": scale, "metric": metric, **options}
    print_clusters(clusters, selection.names, choices)
    about = {"file": str(file), "note": source.note, "rows": source.rows}
    print_files(
        write(out, about, choices, clusters, selection, source.shape) if out is not None else []
    )
