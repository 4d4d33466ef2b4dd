"""Dask: the fit of one process, few tasks, and nothing lost with a worker."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx import metrics

pytest.importorskip("distributed")
pytestmark = [pytest.mark.dask, pytest.mark.filterwarnings("default")]

import dask.array as da  # noqa: E402
from dask import delayed  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402

from kmeans_fx.distributed import dask as kd  # noqa: E402

K = 8


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=6, size=(K, 4))
    return centers[rng.integers(K, size=4000)] + rng.normal(size=(4000, 4))


def chunked(x):
    return da.from_array(x, chunks=(500, *x.shape[1:]))


@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_equals_one_process(client, rows, weighted):
    weights = np.arange(4000) % 3 * 1.0 if weighted else None
    theirs = kf.kmeans(rows, K, key=1, init="k-means||", weights=weights)
    ours = kd.kmeans(
        chunked(rows),
        K,
        key=1,
        client=client,
        weights=None if weights is None else chunked(weights),
    )
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)
    np.testing.assert_array_equal(ours.labels.compute(), theirs.labels)
    assert int(ours.n_iter) == int(theirs.n_iter)


def test_large_arguments_are_a_task(client, rows, monkeypatch):
    options = {"key": 1, "init": rows[:K], "max_iter": 3, "client": client}
    small = kd.kmeans(chunked(rows), K, **options)
    monkeypatch.setattr("kmeans_fx.distributed._dask_engine._SMALL", 0)
    large = kd.kmeans(chunked(rows), K, **options)
    np.testing.assert_array_equal(large.centroids, small.centroids)


def test_the_best_of_some_fits(client):
    x = np.random.default_rng(0).normal(size=(4000, 4))
    options = {"key": 3, "init": "k-means||", "n_init": 3}
    theirs = kf.kmeans(x, K, **options)
    ours = kd.kmeans(chunked(x), K, client=client, **options)
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)


def test_blocks_of_pytorch(client, rows):
    torch = pytest.importorskip("torch")
    parts = [delayed(torch.from_numpy)(rows[i : i + 1000]) for i in range(0, 4000, 1000)]
    x = da.concatenate([da.from_delayed(p, (1000, 4), rows.dtype) for p in parts])
    ours = kd.kmeans(x, K, key=1, client=client)
    assert isinstance(ours.centroids, torch.Tensor)
    theirs = kf.kmeans(rows, K, key=1, init="k-means||")
    np.testing.assert_allclose(ours.centroids.numpy(), theirs.centroids, rtol=1e-8)


def test_blocks_of_unknown_length_columns_in_pieces_and_empty_blocks(client, rows):
    x = da.from_array(rows, chunks=(500, 2))
    there = np.arange(4000) >= 700
    ours = kd.kmeans(x[chunked(there)], K, key=1, client=client)
    theirs = kf.kmeans(rows[700:], K, key=1, init="k-means||")
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)
    np.testing.assert_array_equal(ours.labels.compute(), theirs.labels)


def test_tasks_per_iteration(client, rows):
    """At most 30 tasks in an iteration of 8 blocks, by the scheduler's own count."""

    def tasks_of(max_iter):
        seen = client.run_on_scheduler(transitions)
        kd.kmeans(x, K, key=0, init=rows[:K], tol=0, max_iter=max_iter, client=client)
        return client.run_on_scheduler(transitions) - seen

    x = client.persist(chunked(rows))
    few, many = tasks_of(1), tasks_of(6)
    assert 0 < (many - few) / 5 <= 30


def transitions(dask_scheduler):
    """Tasks that ended so far."""
    log = dask_scheduler.transition_log
    return sum(row[1] == "processing" and row[2] == "memory" for row in log)


def test_a_killed_worker_loses_nothing(client, rows):
    x = chunked(rows)
    options = {"key": 0, "init": rows[:K], "tol": 0, "client": client}
    whole = kd.kmeans(x, K, **options)
    assert int(whole.n_iter) > 3
    before = set(client.run(os.getpid).values())

    def kill(state):
        if int(state.n_iter) == 2:
            os.kill(min(before), signal.SIGKILL)

    ours = kd.kmeans(x, K, callback=kill, **options)
    client.wait_for_workers(2)
    assert min(before) not in set(client.run(os.getpid).values())
    for name in ("centroids", "inertia", "n_iter", "status"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))


def test_minibatch_equals_one_process(client, rows):
    weights = np.arange(4000) % 3 + 1.0
    options = {"key": 2, "batch_size": 256, "max_iter": 3, "n_init": 2, "init_size": 600}
    theirs = kf.minibatch_kmeans(rows, K, weights=weights, **options)
    ours = kd.minibatch_kmeans(chunked(rows), K, weights=chunked(weights), client=client, **options)
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-8)
    assert int(ours.n_iter) == int(theirs.n_iter)
    np.testing.assert_array_equal(ours.labels.compute(), theirs.labels)


def test_seeds_distances_and_scores_equal_one_process(client, rows):
    x, first = chunked(rows), kf.kmeans_parallel(rows, K, key=4)
    np.testing.assert_array_equal(kd.kmeans_parallel(x, K, key=4, client=client), first)
    theirs, found = kf.assign(rows, first), kd.assign(x, first)
    np.testing.assert_allclose(found.distances.compute(), theirs.distances)
    ours = kd.pairwise_distances(x, first, metric="euclidean")
    assert ours.shape == (4000, K)
    other = kf.pairwise_distances(rows, first, metric="euclidean")
    np.testing.assert_allclose(ours.compute(), other)
    for name in (
        "inertia",
        "davies_bouldin_score",
        "calinski_harabasz_score",
        "silhouette_score",
        "simplified_silhouette_score",
    ):
        score = getattr(kd, name)(x, found.labels, client=client)
        np.testing.assert_allclose(score, getattr(metrics, name)(rows, theirs.labels))
    options = {"centroids": first, "metric": "manhattan", "k": K}
    score = kd.simplified_silhouette_score(x, found.labels, client=client, **options)
    other = metrics.simplified_silhouette_score(rows, theirs.labels, **options)
    np.testing.assert_allclose(score, other)
    score = kd.inertia(x, found.labels, centroids=first, k=K, client=client)
    np.testing.assert_allclose(score, theirs.distances.sum())


def test_zarr_and_parquet(client, rows, tmp_path):
    """Read again in every iteration, so that no more than some blocks are in memory."""
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    pytest.importorskip("zarr")
    da.to_zarr(chunked(rows), str(tmp_path / "x.zarr"))
    frame = pd.DataFrame(rows, columns=list("abcd"))
    dd.from_pandas(frame, npartitions=3).to_parquet(tmp_path / "x.parquet")
    theirs = kf.kmeans(rows, K, key=1, init="k-means||")
    zarr = da.from_zarr(str(tmp_path / "x.zarr"))
    parquet = dd.read_parquet(tmp_path / "x.parquet").to_dask_array()
    for x in (zarr, parquet):
        ours = kd.kmeans(x, K, key=1, client=client, persist=False)
        np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)


def test_the_client_in_use_is_taken(client, rows):
    ours = kd.kmeans(chunked(rows), K, key=1)
    theirs = kf.kmeans(rows, K, key=1, init="k-means||")
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)


ALONE = """
import dask.array as da, numpy as np
from kmeans_fx.distributed.dask import kmeans
if __name__ == "__main__":
    x = da.from_array(np.arange(40.0)[:, None] // 10 * 100, chunks=(7, 1))
    print(sorted(kmeans(x, 4, key=0).centroids[:, 0].tolist()))
"""


def test_without_a_client_it_starts_a_cluster(tmp_path):
    (tmp_path / "alone.py").write_text(ALONE)
    command = [sys.executable, "-W", "ignore", str(tmp_path / "alone.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.splitlines()[-1] == "[0.0, 100.0, 200.0, 300.0]"


def test_a_checkpoint_goes_on_in_one_process(client, rows, tmp_path):
    """Blocks are blocks, whoever holds them."""
    options = {"key": 1, "init": rows[:K], "checkpoint": tmp_path / "fit.npz"}
    kd.kmeans(chunked(rows), K, max_iter=3, client=client, **options)
    ours = kf.kmeans_blocks(rows, K, block_rows=500, **options)
    theirs = kf.lloyd(rows, rows[:K])
    np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-10)
    assert int(ours.n_iter) == int(theirs.n_iter)


def test_bad_input(client, rows):
    x = chunked(rows)
    for call, error, text in (
        (lambda: kd.kmeans(rows, K, key=0, client=client), TypeError, "x must be a dask.array"),
        (lambda: kd.kmeans(x[:, 0], K, key=0, client=client), ValueError, "x must have 2 dim"),
        (
            lambda: kd.kmeans(x, K, key=0, client=client, weights=x[:7, 0]),
            ValueError,
            "weights must have shape",
        ),
        (
            lambda: kd.kmeans(da.where(x == x[2100, 1], np.nan, x), K, key=0, client=client),
            ValueError,
            "block 4 of the rows: x must be finite",
        ),
        (
            lambda: kd.davies_bouldin_score(x, chunked(np.zeros(4000, int)), client=client),
            ValueError,
            "labels must name 2 to n - 1",
        ),
        (
            lambda: kd.inertia(x, chunked(rows[:, 0]), k=K, client=client),
            TypeError,
            "labels must have an integer dtype",
        ),
    ):
        with pytest.raises(error, match=text):
            call()
