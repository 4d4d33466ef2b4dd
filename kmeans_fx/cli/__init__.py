"""The command line: reads files, calls the public functions, prints and writes."""

import sys


def main():
    """Run ``kmeans-fx``; without the packages of the extra `cli`, say how to get them."""
    try:
        from kmeans_fx.cli.commands import app
    except ModuleNotFoundError as error:
        sys.stderr.write(f'Error: {error}: python -m pip install "kmeans-fx[cli]"\n')
        sys.exit(2)
    app(prog_name="kmeans-fx")
