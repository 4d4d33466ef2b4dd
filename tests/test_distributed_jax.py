"""Rows on four devices and in two processes of JAX; run by ``nox -s distributed``.

What crosses between devices is read from the compiled program.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from functools import partial
from math import prod

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx import metrics
from kmeans_fx.converge import NONFINITE

pytestmark = [pytest.mark.backend("jax"), pytest.mark.distributed]

N, D, K = 512, 5, 6


@pytest.fixture(scope="module")
def rows():
    """Four clusters along a line, as an array of NumPy."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) + 10 * rng.integers(0, 4, size=(N, 1))
    return x.astype(np.float32)


@pytest.fixture(scope="module", params=["Auto", "Explicit"])
def mesh(request):
    return make_mesh(request.param)


def make_mesh(kind):
    import jax

    assert jax.device_count() == 4, "run it by nox -s distributed, which asks for four devices"
    return jax.make_mesh((4,), ("rows",), axis_types=(getattr(jax.sharding.AxisType, kind),))


def spread(x, mesh):
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    return jax.device_put(x, NamedSharding(mesh, PartitionSpec("rows")))


def starts(x):
    import jax.numpy as jnp

    return jnp.linspace(0.0, 30.0, K)[:, None] * jnp.ones((1, D))


def and_nowhere(centroids):
    """The last two are too far away to be anyone's nearest."""
    return centroids.at[-2:].add(1000.0)


def sides(x):
    return (x[:, 0] > 15).astype(int)


def scores(x, reduce):
    """All that are sums over the rows."""
    import jax.numpy as jnp

    two = {"k": 2, "reduce": reduce}
    certain = jnp.stack([x[:, 0] <= 15, x[:, 0] > 15], axis=-1).astype(x.dtype)
    values = [
        metrics.inertia(x, sides(x), **two),
        metrics.davies_bouldin_score(x, sides(x), **two),
        metrics.calinski_harabasz_score(x, sides(x), **two),
        metrics.simplified_silhouette_score(x, sides(x), **two),
        metrics.silhouette_score(x, sides(x), metric="sqeuclidean", **two),
        metrics.silhouette_score(x, sides(x), metric="cosine", weights=x[:, 0] ** 2, **two),
        metrics.soft_inertia(x, certain, reduce=reduce),
    ]
    return jnp.stack(values)


def of(result):
    """What two runs must agree in: labels only up to rounding, where rows lie between."""
    fields = getattr(result, "_fields", ())
    keep = [f for f in fields if f in ("centroids", "inertia", "free_energy", "counts", "sums")]
    return [getattr(result, f) for f in keep] if fields else [result]


SHARDED = {
    "kmeans": lambda x: kf.kmeans(x, K, key=0),
    "kmeans, blocks": lambda x: kf.kmeans(x, K, key=0, init="random", chunk_size=16),
    "restarts": lambda x: kf.kmeans(x, K, key=0, n_init=3),
    "kmeans_parallel": lambda x: kf.kmeans_parallel(x, K, key=0, rounds=1),
    "kmeans_coreset": lambda x: kf.kmeans_coreset(x, K, key=0),
    "random_partition": lambda x: kf.random_partition(x, K, key=0),
    "farthest_first": lambda x: kf.farthest_first(x, K, key=0),
    "soft_kmeans": lambda x: kf.soft_kmeans(x, 3, key=0, init=starts(x)[:3] + 1.0, max_iter=5),
    "minibatch_step": lambda x: kf.minibatch_step(x, kf.minibatch_init(starts(x)), key=0),
    "minibatch_kmeans": lambda x: kf.minibatch_kmeans(x, 4, key=0, batch_size=64, max_iter=2),
    "stream_step": lambda x: kf.stream_step(x, kf.stream_init(starts(x)), half_life=2),
    "assign": lambda x: kf.assign(x, starts(x), chunk_size=16).distances,
    "cluster_stats": lambda x: kf.cluster_stats(x, sides(x), 2),
    "inertia": lambda x: metrics.inertia(x, sides(x), k=2),
    "silhouette, sqeuclidean": lambda x: metrics.silhouette_score(
        x, sides(x), k=2, metric="sqeuclidean"
    ),
    "silhouette, cosine": lambda x: metrics.silhouette_score(
        x, sides(x), k=2, metric="cosine", weights=x[:, 0] ** 2
    ),
    "soft_inertia": lambda x: metrics.soft_inertia(x, kf.soft_assign(x, starts(x))),
    "cluster_table": lambda x: metrics.cluster_table(x, sides(x), k=2),
    "davies_bouldin": lambda x: metrics.davies_bouldin_score(x, sides(x), k=2),
    "calinski_harabasz": lambda x: metrics.calinski_harabasz_score(x, sides(x), k=2),
    "simplified_silhouette": lambda x: metrics.simplified_silhouette_score(x, sides(x), k=2),
}


def exchanges(text, names="all-gather|all-to-all|collective-permute|all-reduce|reduce-scatter"):
    """(name, numbers that it carries, whether in a loop) of what crosses between devices."""
    for line in text.splitlines():
        found = re.search(rf"= (.*?) ({names})(?:-start)?\(", line)
        if found:
            shapes = re.findall(r"\w+\[([\d,]*)\]", found[1])
            numbers = sum(prod(int(i) for i in shape.split(",") if i) for shape in shapes)
            yield found[2], numbers, "while/body" in line


# Each has its own way through the library; the others share one of them.
EXPLICIT = [
    "kmeans",
    "soft_kmeans",
    "minibatch_step",
    "minibatch_kmeans",
    "assign",
    "cluster_stats",
    "davies_bouldin",
    "cluster_table",
]


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("Auto", name) for name in SHARDED), *(("Explicit", name) for name in EXPLICIT)],
)
def test_sharded_rows_stay_where_they_are(rows, kind, name):
    import jax

    function = SHARDED[name]
    x = spread(rows, make_mesh(kind))
    compiled = jax.jit(function).lower(x).compile()
    result = compiled(x)
    for mine, whole in zip(of(result), alone(rows, name), strict=True):
        np.testing.assert_allclose(mine, whole, rtol=2e-5, atol=1e-4)
    assert tuple(getattr(result, "labels", x).sharding.spec) == ("rows",)
    # One row of each device, a few candidates or blocks of sqrt(n) numbers, never n of anything;
    # restarts that draw side by side move some of their probabilities, but no rows.
    moved = [size for kind, size, _ in exchanges(compiled.as_text()) if kind != "all-reduce"]
    assert max(moved, default=0) <= (2 * N if name == "restarts" else 4 * D)


def alone(rows, name, kept={}):  # noqa: B006
    """The result on one device, computed once."""
    if name not in kept:
        kept[name] = [np.asarray(field) for field in of(SHARDED[name](rows_on_one(rows)))]
    return kept[name]


ALL_PAIRS = {
    "euclidean": lambda x, **options: metrics.silhouette_samples(x, sides(x), k=2, **options),
    "manhattan": lambda x, **options: metrics.silhouette_score(
        x, sides(x), k=2, metric="manhattan", weights=x[:, 0] ** 2, **options
    ),
    "soft": lambda x, **options: metrics.soft_silhouette_score(
        x, kf.soft_assign(x, starts(x)), **options
    ),
}


@pytest.mark.parametrize("name", ALL_PAIRS)
def test_silhouettes_of_all_pairs_send_a_block_at_a_time(rows, mesh, name):
    import jax

    x = np.concatenate([rows, rows + 1, rows + 2, rows + 3])
    compiled = jax.jit(ALL_PAIRS[name]).lower(spread(x, mesh)).compile()
    whole = ALL_PAIRS[name](rows_on_one(x))
    np.testing.assert_allclose(compiled(spread(x, mesh)), whole, atol=2e-5)
    found = list(exchanges(compiled.as_text()))
    assert all(kind == "all-reduce" for kind, size, _ in found if size > 4 * D)
    # The rows of a block and what is theirs, or their sums for every cluster.
    assert max(size for *_, size, looped in found if looped) < x.size
    assert max(size for *_, size, looped in found if not looped) < len(x) / 4


def rows_on_one(rows):
    import jax.numpy as jnp

    return jnp.asarray(rows)


@pytest.mark.parametrize("chunk_size", [None, 16])
def test_an_iteration_is_one_all_reduce(rows, mesh, chunk_size):
    import jax

    fit = jax.jit(lambda x: kf.lloyd(x, starts(x), empty="keep", chunk_size=chunk_size))
    looped = [e for e in exchanges(fit.lower(spread(rows, mesh)).compile().as_text()) if e[2]]
    # Sums and counts, and the number of rows that changed their cluster.
    assert looped == [("all-reduce", K * (D + 1) + 1, True)]


def test_an_eager_call_takes_sharded_rows(rows, mesh):
    x = spread(rows, mesh)
    whole = kf.kmeans(rows_on_one(rows), K, key=0)
    result = kf.kmeans(x, K, key=0)
    np.testing.assert_allclose(result.centroids, whole.centroids, rtol=2e-5, atol=1e-4)
    assert tuple(result.labels.sharding.spec) == ("rows",)
    assert kf.cluster_stats(x, result.labels, K).sums.shape == (K, D)


def test_derivatives_of_sharded_rows(rows, mesh):
    import jax

    slope = jax.jit(jax.grad(lambda x: kf.kmeans(x, K, key=0).inertia))
    mine, whole = slope(spread(rows, mesh)), slope(rows_on_one(rows))
    np.testing.assert_allclose(mine, whole, atol=1e-3)


# ---- inside a shard_map


def per_shard(function, mesh):
    import jax
    from jax.sharding import PartitionSpec as P

    from kmeans_fx.distributed.jax import PSum

    mapped = partial(jax.shard_map, mesh=mesh, in_specs=P("rows"), out_specs=P())
    return jax.jit(mapped(partial(function, reduce=PSum("rows"))))


SHARED = {
    "kmeans": lambda x, reduce: kf.kmeans(x, K, key=0, empty="split", reduce=reduce).centroids,
    "restarts": lambda x, reduce: (
        kf.kmeans(x, K, key=0, n_init=2, init="random", empty="split", reduce=reduce).inertia
    ),
    "kmeans_parallel": lambda x, reduce: kf.kmeans_parallel(x, K, key=0, rounds=1, reduce=reduce),
    "farthest_first": lambda x, reduce: kf.farthest_first(x, K, key=0, reduce=reduce),
    "minibatch_step": lambda x, reduce: (
        kf.minibatch_step(
            x, kf.minibatch_init(and_nowhere(starts(x))), key=0, tol=0.1, reduce=reduce
        ).centroids
    ),
    "minibatch_kmeans": lambda x, reduce: (
        kf.minibatch_kmeans(
            x, 4, key=0, batch_size=N, init_size=N, n_init=2, max_iter=4, reduce=reduce
        ).inertia
    ),
    "scores": scores,
    "stream_step": lambda x, reduce: (
        kf.stream_step(
            x, kf.stream_init(starts(x)), half_life=100, unit="rows", reduce=reduce
        ).centroids
    ),
    "soft_kmeans": lambda x, reduce: (
        kf.soft_kmeans(x, 4, key=0, temperature=8.0, schedule=(4,), reduce=reduce).centroids
    ),
    "fuzzy_cmeans": lambda x, reduce: kf.fuzzy_cmeans(x, 4, key=0, reduce=reduce).objective,
}


@pytest.mark.parametrize("name", SHARED)
def test_shards_find_what_one_device_does(rows, mesh, name):
    mine = per_shard(SHARED[name], mesh)(spread(rows, mesh))
    whole = SHARED[name](rows_on_one(rows), None)
    np.testing.assert_allclose(mine, whole, rtol=2e-5, atol=1e-4)


LOOPS = {
    "lloyd": lambda x, reduce: (
        kf.lloyd(x, starts(x), empty="keep", chunk_size=16, reduce=reduce).centroids
    ),
    "soft_kmeans": lambda x, reduce: (
        kf.soft_kmeans(x, K, key=0, init=starts(x), chunk_size=16, reduce=reduce).centroids
    ),
    "minibatch_kmeans": lambda x, reduce: (
        kf.minibatch_kmeans(
            x, K, key=0, init=starts(x), batch_size=64, reassignment_ratio=0, reduce=reduce
        ).centroids
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_an_iteration_is_one_psum(rows, mesh, name):
    compiled = per_shard(LOOPS[name], mesh).lower(spread(rows, mesh)).compile()
    looped = [e for e in exchanges(compiled.as_text()) if e[2]]
    assert looped == [("all-reduce", K * (D + 1) + 1, True)]


@pytest.mark.parametrize("name", ALL_PAIRS)
def test_silhouettes_of_all_pairs_in_a_shard_map(rows, name):
    import jax
    from jax.sharding import PartitionSpec as P

    from kmeans_fx.distributed.jax import PSum

    mesh = make_mesh("Auto")
    specs = {"in_specs": P("rows"), "out_specs": P("rows") if name == "euclidean" else P()}
    mapped = jax.shard_map(partial(ALL_PAIRS[name], reduce=PSum("rows")), mesh=mesh, **specs)
    compiled = jax.jit(mapped).lower(spread(rows, mesh)).compile()
    whole = ALL_PAIRS[name](rows_on_one(rows))
    np.testing.assert_allclose(compiled(spread(rows, mesh)), whole, atol=2e-5)
    assert {kind for kind, *_ in exchanges(compiled.as_text())} == {"all-reduce"}


def test_scores_of_shards_name_what_is_missing(rows):
    from kmeans_fx.distributed.jax import PSum

    x = rows_on_one(rows)
    with pytest.raises(ValueError, match="reduce must have a rank and a size to draw or compare"):
        metrics.silhouette_score(x, sides(x), k=2, reduce=lambda stats: stats)
    with pytest.raises(ValueError, match="k must be given with reduce="):
        metrics.inertia(x, sides(x), reduce=PSum("rows"))


SLOPES = {
    "kmeans": lambda x, reduce: loss(kf.kmeans(x, 4, key=0, empty="split", reduce=reduce)),
    "implicit": lambda x, reduce: loss(
        kf.soft_kmeans(x, 3, key=0, temperature=40.0, init=starts(x)[::2], reduce=reduce)
    ),
    "unrolled": lambda x, reduce: loss(
        kf.fuzzy_cmeans(
            x, 3, key=0, init=starts(x)[::2], max_iter=3, gradient="unrolled", reduce=reduce
        )
    ),
    "davies_bouldin_score": lambda x, reduce: metrics.davies_bouldin_score(
        x, sides(x), k=2, reduce=reduce
    ),
    "silhouette_score": lambda x, reduce: metrics.silhouette_score(x, sides(x), k=2, reduce=reduce),
}


def loss(result):
    """A number that depends on the centroids and on the objective."""
    centroids, _, objective, *_ = result
    return (centroids[0] - 2 * centroids[1]).sum() + objective / N


@pytest.mark.parametrize("name", SLOPES)
def test_derivatives_in_a_shard_map(rows, name):
    import jax
    from jax.sharding import PartitionSpec as P

    from kmeans_fx.distributed.jax import PSum

    def slope(x, reduce):
        return jax.grad(lambda x: SLOPES[name](x, reduce))(x)

    mesh = make_mesh("Auto")
    mapped = partial(jax.shard_map, mesh=mesh, in_specs=P("rows"), out_specs=P("rows"))
    mine = jax.jit(mapped(partial(slope, reduce=PSum("rows"))))(spread(rows, mesh))
    whole = slope(rows_on_one(rows), None)
    np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("where", ["x", "weights"])
def test_bad_values_of_one_shard_end_the_fit_on_all(rows, where):
    import jax
    from jax.sharding import PartitionSpec as P

    from kmeans_fx.distributed.jax import PSum

    mesh = make_mesh("Auto")
    x, weights = rows.copy(), np.ones(N, dtype=np.float32)
    if where == "x":
        x[300, 0] = np.nan
    else:
        weights[300] = -1.0

    @partial(jax.shard_map, mesh=mesh, in_specs=P("rows"), out_specs=P())
    def status(x, weights):
        fit = kf.lloyd(x, starts(x), weights=weights, empty="keep", reduce=PSum("rows"))
        return fit.status

    assert int(jax.jit(status)(spread(x, mesh), spread(weights, mesh))) == NONFINITE


# ---- rows that do not divide the mesh


def test_padded_rows_are_absent(rows, mesh):
    import jax

    from kmeans_fx.distributed.jax import pad_rows

    uneven = rows[:-3]
    x, weights = pad_rows(uneven, mesh)
    assert x.shape == (N, D)
    assert tuple(x.sharding.spec) == tuple(weights.sharding.spec) == ("rows",)
    fit = jax.jit(lambda x, weights: kf.lloyd(x, starts(x), weights=weights))
    mine, whole = fit(x, weights), kf.lloyd(rows_on_one(uneven), starts(x))
    np.testing.assert_allclose(mine.centroids, whole.centroids, rtol=2e-5, atol=1e-4)
    np.testing.assert_allclose(mine.inertia, whole.inertia, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(mine.labels)[: N - 3], whole.labels)


def test_padding_names_what_is_wrong(rows, mesh):
    from kmeans_fx.distributed.jax import pad_rows

    with pytest.raises(ValueError, match=r"x must have shape \(n, d\) with n at least 1"):
        pad_rows(rows[:0], mesh)
    with pytest.raises(ValueError, match=r"weights must have shape \(512,\)"):
        pad_rows(rows, mesh, weights=np.ones(3))


# ---- two processes


CHILD = """
import json, sys
import jax, numpy as np
address, rank, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, 2, rank)
from kmeans_fx import kmeans, lloyd, minibatch_kmeans
from kmeans_fx.distributed.jax import pad_rows
x = np.load(path)
mesh = jax.make_mesh((jax.device_count(),), ("rows",))
told = {"devices": jax.device_count()}
even, weights = pad_rows(np.array_split(x, 2)[rank], mesh)
told["kmeans"] = jax.jit(lambda x: kmeans(x, 6, key=0).centroids)(even).tolist()
fit = jax.jit(lambda x: minibatch_kmeans(x, 4, key=0, batch_size=64, max_iter=2).centroids)
told["minibatch_kmeans"] = fit(even).tolist()
uneven, weights = pad_rows(np.split(x, [100])[rank], mesh)
start = jax.numpy.linspace(0.0, 30.0, 6)[:, None] * jax.numpy.ones((1, 5))
fit = jax.jit(lambda x, weights: lloyd(x, start, weights=weights).centroids)
told["lloyd"] = fit(uneven, weights).tolist()
try:
    pad_rows(x[:, : 5 - rank], mesh)
except ValueError as error:
    told["columns"] = str(error)
try:
    pad_rows(x[: 1 - rank], mesh)
except ValueError as error:
    told["no rows"] = str(error)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(rows, tmp_path_factory):
    """What each of two processes has to say, one of them with two devices."""
    path = tmp_path_factory.mktemp("jax") / "x.npy"
    np.save(path, rows)
    children = start_two(CHILD, path)
    outputs = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]


def start_two(code, path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", code, address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen([*command, str(rank), str(path)], env=environment, **pipes)
        for rank in range(2)
    ]


def test_two_processes_find_what_one_does(rows, told):
    x = rows_on_one(rows)
    for one in told:
        assert one["devices"] == 4
        whole = kf.kmeans(x, K, key=0).centroids
        np.testing.assert_allclose(one["kmeans"], whole, rtol=2e-5, atol=1e-4)
        whole = SHARDED["minibatch_kmeans"](x).centroids
        np.testing.assert_allclose(one["minibatch_kmeans"], whole, rtol=2e-5, atol=1e-4)
        np.testing.assert_allclose(one["lloyd"], kf.lloyd(x, starts(x)).centroids, atol=1e-4)


def test_both_processes_hear_of_a_mistake(told):
    assert all("process 1 differs from process 0" in one["columns"] for one in told)
    assert "process 1 was given no rows" in told[0]["no rows"]
    assert "x must have shape (n, d) with n at least 1" in told[1]["no rows"]


MORTAL = """
import os, sys
import jax, numpy as np
address, rank, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, 2, rank, heartbeat_timeout_seconds=10)
from kmeans_fx import kmeans
from kmeans_fx.distributed.jax import pad_rows
mesh = jax.make_mesh((jax.device_count(),), ("rows",))
x, _ = pad_rows(np.array_split(np.load(path), 2)[rank], mesh)
fit = jax.jit(lambda x: kmeans(x, 6, key=0).inertia)
print("inertia", float(fit(x)), flush=True)
if rank == 1:
    os.kill(os.getpid(), 9)
print("inertia", float(fit(x)), flush=True)
"""


def test_the_other_process_hears_of_a_death(rows, tmp_path):
    """An error in the call that waits, or JAX ends the process: within its own timeout."""
    np.save(tmp_path / "x.npy", rows)
    other, mortal = start_two(MORTAL, tmp_path / "x.npy")
    mortal.communicate(timeout=120)
    died = time.monotonic()
    told, error = other.communicate(timeout=60)
    assert time.monotonic() - died < 10 + 20
    assert other.returncode != 0
    assert told.count("inertia") == 1
    assert "JaxRuntimeError" in error or "another task died" in error, error
