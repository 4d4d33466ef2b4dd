"""The options that several commands share."""

from functools import reduce
from pathlib import Path

import click

from kmeans_fx.cli.backend import CHOICES
from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.cli.fitting import FILLINGS, SCALINGS
from kmeans_fx.cli.sweeping import METHODS
from kmeans_fx.distances import METRICS

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_POSITIVE = click.IntRange(min=1)


class Range(click.ParamType):
    """Numbers of clusters: ``2-10``, ``2,4,8`` or ``2-5,10``."""

    name = "range"

    def convert(self, value, param, ctx):
        """Sorted numbers, each once."""
        ks = set()
        for part in value.split(","):
            first, dash, last = part.partition("-")
            if not first.strip().isdecimal() or (dash and not last.strip().isdecimal()):
                self.fail(f"{value!r} is not a range like 2-10 or 2,4,8", param, ctx)
            ks |= set(range(int(first), int(last if dash else first) + 1))
        if not ks or min(ks) < 1:
            self.fail(f"{value!r} must rise and begin at 1 or more", param, ctx)
        return sorted(ks)


seed_option = click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="The same seed gives the same clusters.",
)


def reading_options(command):
    """Which columns and rows of the file are used, and how they are made comparable."""
    return _all(command, *_READING)


def fitting_options(command):
    """How the rows are clustered."""
    return _all(command, *_FITTING)


def sweeping_options(command):
    """Which numbers of clusters are tried."""
    return _all(command, *_SWEEPING)


sample_option = click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=0),
    default=10_000,
    help="Choose and judge on so many rows, drawn at random; 0: on all. All rows are clustered.",
)


def refuse_both(k, ks, choose):
    """A number of clusters is given or chosen, not both."""
    for option, value in (("--ks", ks), ("--choose", choose)):
        if k is not None and value is not None:
            msg = f"{option} is for a number of clusters that is chosen, and -k {k} gives one"
            raise BadInputError(msg)


def _all(command, *options):
    # Decorators apply from the last to the first.
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


_READING = (
    click.option(
        "--columns", metavar="A,B,...", help="Use these columns.  [default: all that hold numbers]"
    ),
    click.option("--drop", metavar="A,B,...", help="Do not use these columns."),
    click.option(
        "--missing",
        type=click.Choice(["drop", *FILLINGS]),
        default="drop",
        help="Leave out rows with a missing value, or fill the gaps with the column's.",
    ),
    click.option(
        "--scale",
        type=click.Choice(list(SCALINGS)),
        help="How to make columns comparable.  [default: standard; none for images and cosine]",
    ),
)
_FITTING = (
    click.option(
        "--metric", type=click.Choice(list(METRICS)), default="sqeuclidean", help="The distance."
    ),
    click.option(
        "--backend",
        type=click.Choice(CHOICES.split("|")),
        default="numpy",
        help="The array library.",
    ),
    seed_option,
    click.option(
        "--n-init",
        metavar="N",
        type=_POSITIVE,
        default=10,
        help="Number of starts; the best counts.",
    ),
    click.option(
        "--max-iter",
        metavar="N",
        type=_POSITIVE,
        default=300,
        help="Most iterations of a start.",
    ),
)
_SWEEPING = (
    click.option(
        "--ks",
        metavar="A-B",
        type=Range(),
        help="Numbers of clusters to try, as 2-10 or 2,4,8.  [default: 1-10]",
    ),
    click.option(
        "--choose",
        type=click.Choice(list(METHODS)),
        help=f"The criterion that chooses among them.  [default: {next(iter(METHODS))}]",
    ),
    click.option(
        "--references",
        metavar="N",
        type=click.IntRange(min=0),
        default=10,
        help="Sets of rows without clusters for the gap statistic, each as dear as the sweep; 0: "
        "no gap.",
    ),
)
