"""Seconds per iteration on two processes: Dask here, dask-ml, and Spark's MLlib in local mode.

2,000,000 x 16 rows, k = 50, the same start, both processes on this machine; run
``python -m benchmarks.scale_out``. Rows are float32, and float64 in the contenders of that name;
Spark computes in float64. The first iterations, in which caches fill, are left out: the time is
that of a fit of 13 less that of a fit of 3. Needs dask, dask-ml and pyspark.
"""

import json
import subprocess
import sys
import time
from functools import partial

import numpy as np

from .quality import inertia

N, D, K, BLOCKS = 2_000_000, 16, 50, 8
FEW, MANY = 3, 13


def problem():
    """Overlapping blobs, which take longer than the iterations timed."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 10, size=(K, D))
    x = centres[rng.integers(K, size=N)] + 3 * rng.standard_normal((N, D))
    return x.astype(np.float32), x[:K].astype(np.float32)


def timed(fit):
    """Seconds per iteration of ``fit(max_iter) -> centroids``, and the last centroids."""
    fit(FEW)
    seconds = []
    for max_iter in (FEW, MANY):
        begin = time.perf_counter()
        centroids = fit(max_iter)
        seconds.append(time.perf_counter() - begin)
    return (seconds[1] - seconds[0]) / (MANY - FEW), centroids


def on_dask(make, dtype):
    """Time ``make(x, start, client)`` on a LocalCluster of two processes."""
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    x, start = (a.astype(dtype) for a in problem())
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        rows = client.persist(da.from_array(x, chunks=(N // BLOCKS, D)))
        wait(rows)
        return timed(make(rows, start, client))


def kmeans_fx_dask(dtype):
    from kmeans_fx.distributed.dask import kmeans

    def make(rows, start, client):
        options = {"key": 0, "init": start, "tol": 0, "client": client}
        return lambda m: kmeans(rows, K, max_iter=m, **options).centroids

    return on_dask(make, dtype)


def dask_ml(dtype):
    from dask_ml.cluster import KMeans

    def make(rows, start, client):
        def fit(max_iter):
            model = KMeans(K, init=start, max_iter=max_iter, tol=0, random_state=0)
            return np.asarray(model.fit(rows).cluster_centers_)

        return fit

    return on_dask(make, dtype)


def spark_mllib():
    from pyspark.mllib.clustering import KMeans, KMeansModel
    from pyspark.mllib.linalg import Vectors
    from pyspark.sql import SparkSession

    x, start = problem()
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "8g")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    parts = spark.sparkContext.parallelize(np.array_split(x, BLOCKS), BLOCKS)
    rows = parts.flatMap(lambda part: [Vectors.dense(row) for row in part.astype(float)]).cache()
    rows.count()
    model = KMeansModel([Vectors.dense(row) for row in start.astype(float)])

    def fit(max_iter):
        found = KMeans.train(rows, K, max_iter, epsilon=0.0, initialModel=model)
        return np.array(found.clusterCenters)

    return timed(fit)


CONTENDERS = {
    "kmeans_fx_dask": partial(kmeans_fx_dask, "float32"),
    "dask_ml": partial(dask_ml, "float32"),
    "spark_mllib": spark_mllib,
    "kmeans_fx_dask_float64": partial(kmeans_fx_dask, "float64"),
    "dask_ml_float64": partial(dask_ml, "float64"),
}


def main(names):
    """Each contender in a process of its own; one name runs here."""
    for name in names or CONTENDERS:
        if names:
            seconds, centroids = CONTENDERS[name]()
            found = {"name": name, "seconds": round(seconds, 4)}
            print(json.dumps(found | {"inertia": inertia(problem()[0], np.asarray(centroids))}))
        else:
            subprocess.run([sys.executable, "-m", "benchmarks.scale_out", name], check=False)


if __name__ == "__main__":
    main(sys.argv[1:])
