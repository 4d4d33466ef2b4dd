"""``python -m kmeans_fx`` is the command line."""

from kmeans_fx.cli import main

main()
