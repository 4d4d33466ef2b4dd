"""k-means of a table on disk, of any size, with Dask: `python -m docs.models.kmeans_dask`."""

import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from kmeans_fx.distributed.dask import davies_bouldin_score, kmeans


def write_rows(path, blocks=8, rows=20_000):
    """A Zarr array of float32, made block by block."""
    random = da.random.default_rng(0)
    groups = random.integers(5, size=(blocks * rows, 1), chunks=(rows, 1))
    noise = random.normal(size=(blocks * rows, 3), chunks=(rows, 3))
    da.to_zarr((10 * groups + noise).astype("float32"), str(path))


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "rows.zarr")
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            x = da.from_zarr(str(Path(folder) / "rows.zarr"))
            result = kmeans(x, 5, key=0, client=client)
            score = davies_bouldin_score(x, result.labels, client=client)
            groups = sorted(int(c) for c in np.round(result.centroids[:, 0]))
            print(groups, f"Davies-Bouldin {float(score):.2f}")


if __name__ == "__main__":
    main()
