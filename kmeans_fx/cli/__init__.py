"""The command line: reads files, calls the public functions, prints and writes."""

import signal
import sys


def main():
    """Run ``kmeans-fx``; without the packages of the extra `cli`, say how to get them."""
    try:
        from kmeans_fx.cli.commands import app
    except ModuleNotFoundError as error:
        sys.stderr.write(f'Error: {error}: python -m pip install "kmeans-fx[cli]"\n')
        sys.exit(2)
    # As Ctrl-C does, so that half-written files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app(prog_name="kmeans-fx")
