"""The recipes for Spark, Ray and Dask give the centroids of one process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kmeans_fx import kmeans_parallel, lloyd

ROOT = Path(__file__).parents[1]
RECIPES = ["kmeans_dask", "kmeans_ray", "kmeans_spark"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short(name):
    lines = (ROOT / "docs" / "models" / f"{name}.py").read_text().splitlines()
    assert len(lines) < 60


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) + 9.0 * rng.integers(4, size=(4000, 1))
    start = kmeans_parallel(x, 6, key=7)
    return x, start, lloyd(x, start, tol=0).centroids


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")]))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    session.stop()


cluster = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]


class TestSpark:
    pytestmark = cluster

    def test_rdd(self, spark, problem):
        from docs.models.kmeans_spark import kmeans_rdd

        x, start, theirs = problem
        blocks = spark.sparkContext.parallelize(np.array_split(x, 5), 5)
        np.testing.assert_allclose(kmeans_rdd(blocks, start), theirs, rtol=1e-10)

    def test_frame(self, spark, problem):
        from docs.models.kmeans_spark import kmeans_frame

        x, start, theirs = problem
        rows = spark.createDataFrame(x.tolist(), "a double, b double, c double").repartition(3)
        np.testing.assert_allclose(kmeans_frame(rows, start), theirs, rtol=1e-10)


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=environment)
    yield ray
    ray.shutdown()


class TestRay:
    pytestmark = cluster

    def test_tasks(self, ray, problem):
        from docs.models.kmeans_ray import kmeans_tasks

        x, start, theirs = problem
        blocks = [ray.put(part) for part in np.array_split(x, 5)]
        np.testing.assert_allclose(kmeans_tasks(blocks, start), theirs, rtol=1e-10)

    def test_dataset(self, ray, problem):
        from docs.models.kmeans_ray import kmeans_dataset

        x, start, theirs = problem
        dataset = ray.data.from_numpy(np.array_split(x, 3))
        np.testing.assert_allclose(kmeans_dataset(dataset, "data", start), theirs, rtol=1e-10)


@pytest.mark.dask
def test_dask_script():
    pytest.importorskip("distributed")
    pytest.importorskip("zarr")
    script = [sys.executable, "-W", "ignore", "-m", "docs.models.kmeans_dask"]
    run = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True)
    # The five groups are at 0, 10, 20, 30 and 40.
    assert run.stdout.startswith("[0, 10, 20, 30, 40] Davies-Bouldin 0.")
