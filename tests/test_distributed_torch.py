"""Rows in two processes of PyTorch with gloo; run by ``nox -s distributed``.

The processes are started once. Each calls everything below `CHECKS` with its own rows, and
writes down what it got, what it would have got with all rows, and how many messages it took.
"""

import datetime
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.converge import CONVERGED

pytestmark = [pytest.mark.backend("torch"), pytest.mark.distributed]

N, D, K = 513, 5, 6
CUTS = (0, 200, N)


def all_rows():
    """Four clusters along a line."""
    import torch

    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) + 10 * rng.integers(0, 4, size=(N, 1))
    return torch.asarray(x.astype(np.float32))


def starts():
    import torch

    return torch.linspace(0.0, 30.0, K)[:, None] * torch.ones(1, D)


def sides(x):
    return (x[:, 0] > 15).long()


def batches(x, r):
    """Mini-batches of 65 rows, each rank's part of them drawn by itself."""
    import kmeans_fx as kf

    # Nothing is near the last centroid, so that it moves to a row of the first batch.
    begin = starts() + 1000 * (starts() == 30)
    options = {"key": 0, "max_no_improvement": None}
    if r is not None:
        return kf.minibatch_kmeans(x, K, init=begin, batch_size=64, max_iter=3, reduce=r, **options)
    state = kf.minibatch_init(begin)
    steps = 3 * N // 65
    options |= {"smoothing": 2 * 65 / (N + 1), "max_steps": steps}
    for rows in drawn(x, 64, steps):
        state = kf.minibatch_step(rows, state, **options)
    centroids = state.centroids + state.origin
    found = kf.assign(x, centroids)
    return kf.MiniBatchResult(
        centroids, found.labels, found.distances.sum(), state.counts, *state[3:4], *state[-2:]
    )


def drawn(x, size, steps):
    """The batches that both ranks draw, one after the other."""
    import torch

    from kmeans_fx._backend.random import as_key
    from kmeans_fx._ranks import own_key
    from kmeans_fx.algorithms._batches import first_starts, next_starts, plan, take_batch

    xp = array_namespace(x=x)
    parts = [x[CUTS[i] : CUTS[i + 1]] for i in range(2)]
    keys = [own_key(as_key(0, xp, "cpu"), SimpleNamespace(rank=rank)) for rank in range(2)]
    plans = [plan(len(part), -(-size * len(part) // N), 1) for part in parts]
    rows = [first_starts(torch.tensor(0), how) for how in plans]
    for step in torch.arange(steps):
        turn = zip(keys, parts, rows, plans, strict=True)
        rows = [next_starts(key, len(part), step, old, how) for key, part, old, how in turn]
        turn = zip(parts, rows, plans, strict=True)
        yield torch.cat([take_batch(part, None, step, new, how)[0] for part, new, how in turn])


def scores(x, r):
    import torch

    import kmeans_fx as kf
    from kmeans_fx import metrics

    return torch.stack(
        [
            metrics.inertia(x, sides(x), k=2, reduce=r),
            metrics.davies_bouldin_score(x, sides(x), k=2, reduce=r),
            metrics.calinski_harabasz_score(x, sides(x), k=2, reduce=r),
            metrics.simplified_silhouette_score(x, sides(x), k=2, reduce=r),
            metrics.silhouette_score(x, sides(x), metric="cosine", k=2, reduce=r),
            metrics.soft_inertia(x, kf.soft_assign(x, starts()), reduce=r),
        ]
    )


def silhouettes(x, r):
    """By the distances of all rows to all others."""
    import torch

    import kmeans_fx as kf
    from kmeans_fx import metrics

    return torch.stack(
        [
            metrics.silhouette_score(x, sides(x), k=2, reduce=r),
            metrics.silhouette_score(x, sides(x), metric="manhattan", k=2, reduce=r),
            metrics.soft_silhouette_score(x, kf.soft_assign(x, starts()), reduce=r),
        ]
    )


def fits():
    import kmeans_fx as kf

    online = {"key": 0, "reassignment_ratio": 0, "tol": 0.1}
    return {
        "lloyd": lambda x, r: kf.lloyd(x, starts(), empty="keep", reduce=r),
        "kmeans": lambda x, r: kf.kmeans(x, K, key=0, empty="split", reduce=r),
        "restarts": lambda x, r: kf.kmeans(x, K, key=0, n_init=3, empty="split", reduce=r),
        "k-means||": lambda x, r: kf.kmeans(x, K, key=0, init="k-means||", empty="split", reduce=r),
        "random": lambda x, r: kf.random_points(x, K, key=0, reduce=r),
        "farthest_first": lambda x, r: kf.farthest_first(x, K, key=0, reduce=r),
        "minibatch_step": lambda x, r: kf.minibatch_step(
            x, kf.minibatch_init(starts()), reduce=r, **online
        ),
        "stream_step": lambda x, r: kf.stream_step(
            x, kf.stream_init(starts()), half_life=100, unit="rows", reduce=r
        ),
        "soft_kmeans": lambda x, r: kf.soft_kmeans(
            x, K, key=0, temperature=8.0, init=starts(), reduce=r
        ),
        "fuzzy_cmeans": lambda x, r: kf.fuzzy_cmeans(x, 4, key=0, reduce=r),
        "batches": batches,
        "batches of all rows": lambda x, r: kf.minibatch_kmeans(
            x, 4, key=0, batch_size=N, init_size=N, n_init=2, max_iter=4, reduce=r
        ),
        "scores": scores,
        "silhouettes": silhouettes,
        "half": lambda x, r: kf.lloyd(x.bfloat16(), starts(), empty="keep", reduce=r),
    }


# ---- what each process does


def child(rank, path):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{path}/store",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=30),
    )
    told = compare(rank) | slopes(rank) | train(rank) | disagree(rank)
    told |= of_dtensor(rank)
    np.savez(f"{path}/{rank}.npz", **told)
    dist.barrier()
    # It dies in the middle of a fit, and says nothing.
    reduce = mortal(12) if rank == 1 else reduction()
    told["a rank dies"] = refusal(lambda: fits()["soft_kmeans"](rows_of(rank), reduce))
    for name, call in calls(reduction()).items():
        told[f"{name}/a rank is dead"] = refusal(lambda: call(rows_of(0)))  # noqa: B023
    np.savez(f"{path}/{rank}.npz", **told)


def rows_of(rank):
    return all_rows()[CUTS[rank] : CUTS[rank + 1]]


def reduction():
    from kmeans_fx.distributed.torch import AllReduce

    return AllReduce()


def mortal(messages):
    """A reduction after so many of which its process dies."""
    from kmeans_fx.distributed.torch import AllReduce

    class Mortal(AllReduce):
        left = messages

        def __call__(self, stats):
            self.left -= 1
            if self.left < 0:
                os._exit(0)
            return super().__call__(stats)

    return Mortal()


def compare(rank):
    told = {}
    for name, fit in fits().items():
        with counted() as messages:
            mine = fit(rows_of(rank), reduction())
        told |= described(f"{name}/mine", mine) | described(f"{name}/whole", fit(all_rows(), None))
        told[f"{name}/messages"] = messages[0]
    # Rank 0's key and centroids are everybody's.
    import kmeans_fx as kf

    fit = kf.kmeans(rows_of(rank), K, key=5 * rank, empty="split", reduce=reduction())
    told["another key"] = fit.centroids.numpy()
    fit = kf.lloyd(rows_of(rank), starts() + 100 * rank, empty="keep", reduce=reduction())
    told["other starts"] = fit.centroids.numpy()
    start = starts() + 100 * rank
    fit = kf.kmeans(rows_of(rank), K, key=0, init=start, empty="keep", reduce=reduction())
    told["another init"] = fit.centroids.numpy()
    return told


def slopes(rank):
    """What two ranks say of the sum of their two losses, and what one says of that sum."""

    import torch

    from kmeans_fx import metrics

    def fits(x, r):
        import kmeans_fx as kf

        three = {"key": 0, "init": starts()[::2], "reduce": r}
        return {
            "kmeans": kf.kmeans(x, 4, key=0, empty="split", reduce=r)[0::2],
            "implicit": kf.soft_kmeans(x, 3, temperature=40.0, **three)[0::2],
            "unrolled": kf.fuzzy_cmeans(x, 3, gradient="unrolled", max_iter=3, **three)[0::2],
            "silhouette": (
                torch.zeros(2, D),
                N * metrics.silhouette_score(x, sides(x.detach()), k=2, reduce=r),
            ),
        }

    def of(x, r, first, second):
        x.requires_grad_()
        for name, (centroids, objective, *_) in fits(x, r).items():
            loss = first * (centroids[0] - 2 * centroids[1]).sum() + second * objective / N
            loss.backward()
            yield name, x.grad.numpy().copy()
            x.grad = None

    mine = of(rows_of(rank), reduction(), 1.0 - rank, 1.0 * rank)
    whole = of(all_rows(), None, 1.0, 1.0)
    cut = slice(CUTS[rank], CUTS[rank + 1])
    told = {f"slope of {name}/mine": slope for name, slope in mine}
    return told | {f"slope of {name}/whole": slope[cut] for name, slope in whole}


class counted:  # noqa: N801
    """How many all-reduces there were."""

    def __enter__(self):
        import torch.distributed as dist

        self.plain, messages = dist.all_reduce, [0]

        def all_reduce(*args, **options):
            messages[0] += 1
            return self.plain(*args, **options)

        dist.all_reduce = all_reduce
        return messages

    def __exit__(self, *_):
        import torch.distributed as dist

        dist.all_reduce = self.plain


def described(name, result):
    fields = [f for f in getattr(result, "_fields", ()) if f != "labels"]
    if not fields:
        return {name: result.numpy()}
    return {f"{name}/{f}": getattr(result, f).float().numpy() for f in fields}


def train(rank):
    """An autoencoder with a codebook: two ranks of 32 images, and one process with all 64."""
    import torch
    from sklearn.datasets import load_digits
    from torch.nn.parallel import DistributedDataParallel

    from docs.models.vq_torch import Autoencoder, Quantizer

    images = torch.asarray(load_digits().data[:256].astype(np.float32) / 16)

    def run(least, reduce, wrap, share):
        torch.manual_seed(0)
        model = Autoencoder(Quantizer(16, 4, least=least, reduce=reduce))
        with torch.no_grad():
            model.quantize.start(model.encode(share(images[:64])), key=0)
        step = wrap(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for batch in images.split(64):
            again, _, commitment = step(share(batch))
            loss = (again - share(batch)).square().mean() + commitment
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.quantize.codes.numpy(), model.encode[0].weight.detach().numpy()

    def half(batch):
        return batch[32 * rank : 32 * (rank + 1)]

    told = {}
    mine = run(0.0, reduction(), DistributedDataParallel, half)
    whole = run(0.0, None, lambda model: model, lambda batch: batch)
    told["codes/mine"], told["weights/mine"] = mine
    told["codes/whole"], told["weights/whole"] = whole
    told["revived codes"], _ = run(9.0, reduction(), DistributedDataParallel, half)
    return told


def of_dtensor(rank):
    """Rows as the shards of a DTensor: the local ones are what the functions take."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor, Shard

    import kmeans_fx as kf
    from kmeans_fx.distributed.torch import AllReduce

    mesh = init_device_mesh("cpu", (2,))
    shape = torch.Size((N, D))
    x = DTensor.from_local(rows_of(rank), mesh, [Shard(0)], shape=shape, stride=(D, 1))
    table = torch.nn.Embedding(N, D, _weight=all_rows())
    fully_shard(table, mesh=mesh)
    options = {"key": 0, "empty": "split", "reduce": AllReduce(mesh.get_group())}
    fit = kf.kmeans(table.weight.to_local(), K, **options)
    fit.inertia.backward()
    return {
        "shards of a DTensor": kf.kmeans(x.to_local(), K, **options).centroids.numpy(),
        "shards of FSDP": fit.centroids.detach().numpy(),
        "slope of FSDP": table.weight.grad.full_tensor().numpy(),
        "a DTensor": refusal(lambda: kf.kmeans(x, K, **options)),
    }


def calls(r):
    """A call of each kind, of rows and a number of clusters."""
    import kmeans_fx as kf
    from kmeans_fx import metrics

    def three(x, k=3):
        return kf.lloyd(x, x[:k, :], empty="keep", reduce=r)

    return {
        "lloyd": three,
        "kmeans": lambda x, k=3: kf.kmeans(x, k, key=0, empty="split", reduce=r),
        "kmeans_parallel": lambda x, k=3: kf.kmeans_parallel(x, k, key=0, reduce=r),
        "soft_kmeans": lambda x, k=3: kf.soft_kmeans(x, k, key=0, reduce=r),
        "minibatch_kmeans": lambda x, k=3: kf.minibatch_kmeans(x, k, key=0, reduce=r),
        "davies_bouldin_score": lambda x, k=3: metrics.davies_bouldin_score(
            x, sides(x), k=k, reduce=r
        ),
    }


MISTAKES = {
    "columns": "columns of x must be the same on all ranks, got 5 on rank 0 and 4 on rank 1",
    "dtype": "torch.float32 on rank 0 and torch.float64 on rank 1",
    "nan": "x must be finite, got NaN or infinity",
    "no rows": "x must not be empty, got shape (0, 5)",
    "k": " must be the same on all ranks, got ",
}


def disagree(rank):
    """What is said if rank 1 is given something wrong."""
    import torch

    import kmeans_fx as kf

    x, r = rows_of(rank), reduction()

    def fit(x, k=3):
        return kf.kmeans(x, k, key=0, empty="split", reduce=r)

    told = {}
    for name, call in calls(r).items():
        told |= {
            f"{name}/columns": refusal(lambda: call(x[:, : D - rank])),  # noqa: B023
            f"{name}/dtype": refusal(lambda: call(x.to((torch.float32, torch.float64)[rank]))),  # noqa: B023
            f"{name}/nan": refusal(lambda: call(x / 0 if rank else x)),  # noqa: B023
            f"{name}/no rows": refusal(lambda: call(x[:0] if rank else x)),  # noqa: B023
            f"{name}/k": refusal(lambda: call(x, 3 + rank)),  # noqa: B023
        }
    return told | {
        "too many": refusal(lambda: fit(x, N + 1)),
        "no weight here": str(
            int(
                kf.kmeans(
                    x, 3, key=0, empty="split", weights=x[:, 0] * 0 + 1 - rank, reduce=r
                ).status
            )
        ),
        "an init": refusal(lambda: kf.kmeans_plusplus(x / 0 if rank else x, 3, key=0, reduce=r)),
    }


def refusal(call):
    began = time.monotonic()
    try:
        call()
    except (TypeError, ValueError, RuntimeError) as error:
        assert time.monotonic() - began < 10
        return f"{type(error).__name__}: {error}"
    return "nothing"


# ---- the tests


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the two processes wrote down."""
    path = tmp_path_factory.mktemp("torch")
    command = [sys.executable, "-W", "ignore", __file__]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    children = [subprocess.Popen([*command, str(i), str(path)], **pipes) for i in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in children]
    assert [process.returncode for process in children] == [0, 0], outputs
    return [np.load(path / f"{rank}.npz") for rank in range(2)]


@pytest.mark.parametrize("name", fits())
def test_two_processes_find_what_one_does(told, name):
    fields = [f for f in told[0].files if f.startswith(f"{name}/mine")]
    assert fields
    for field in fields:
        whole = told[0][field.replace("mine", "whole")]
        rtol = 1e-2 if name == "half" else 2e-5
        np.testing.assert_array_equal(told[0][field], told[1][field])
        if not field.endswith("shift"):
            np.testing.assert_allclose(told[0][field], whole, rtol=rtol, atol=1e-4)


def test_an_iteration_is_one_all_reduce(told):
    messages, n_iter = (int(told[0][f"lloyd/{name}"]) for name in ("messages", "mine/n_iter"))
    # The numbers of rows, the first centroids, mean and variance before, the inertia after.
    assert messages == n_iter + 5
    messages, n_iter = (int(told[0][f"soft_kmeans/{name}"]) for name in ("messages", "mine/n_iter"))
    # The same, and the key.
    assert messages == n_iter + 6
    assert int(told[0]["minibatch_step/messages"]) == 1 + 2  # mean and variance for tol
    messages, n_iter = (int(told[0][f"batches/{name}"]) for name in ("messages", "mine/n_iter"))
    # Numbers of rows, of all and of a batch, key and centroids before; a centroid that moves to a
    # row; the inertia after.
    assert messages == n_iter + 4 + 4 + 1
    # In the order of the scores.
    assert int(told[0]["scores/messages"]) == 3 + 4 + 4 + 5 + 6 + 3


@pytest.mark.parametrize("name", ["kmeans", "implicit", "unrolled", "silhouette"])
def test_derivatives_over_two_ranks(told, name):
    for one in told:
        mine, whole = (one[f"slope of {name}/{which}"] for which in ("mine", "whole"))
        np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-5)


def test_all_ranks_begin_as_the_first(told):
    for one in told:
        np.testing.assert_array_equal(one["another key"], told[0]["kmeans/mine/centroids"])
        np.testing.assert_array_equal(one["other starts"], told[0]["lloyd/mine/centroids"])
        np.testing.assert_array_equal(one["another init"], told[0]["lloyd/mine/centroids"])


def test_a_codebook_trains_on_two_ranks_as_on_one(told):
    for one in told:
        np.testing.assert_allclose(one["codes/mine"], one["codes/whole"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one["weights/mine"], one["weights/whole"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(told[0]["revived codes"], told[1]["revived codes"])
    assert np.abs(told[0]["revived codes"] - told[0]["codes/mine"]).max() > 1e-3


def test_shards_of_a_dtensor(told):
    for one in told:
        np.testing.assert_array_equal(one["shards of a DTensor"], told[0]["kmeans/mine/centroids"])
        assert "x must be no DTensor: give x.to_local()" in str(one["a DTensor"])


def test_shards_of_a_parameter_under_fsdp(told):
    import kmeans_fx as kf

    x = all_rows().requires_grad_()
    whole = kf.kmeans(x, K, key=0, empty="split")
    whole.inertia.backward()
    for one in told:
        np.testing.assert_allclose(
            one["shards of FSDP"], whole.centroids.detach(), rtol=2e-5, atol=1e-4
        )
        # Of the sum of what both ranks have as their loss.
        np.testing.assert_allclose(one["slope of FSDP"], 2 * x.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("what", MISTAKES)
@pytest.mark.parametrize("name", calls(None))
def test_all_ranks_hear_of_a_mistake(told, name, what):
    said = [str(one[f"{name}/{what}"]) for one in told]
    assert all(one.startswith("ValueError") and MISTAKES[what] in one for one in said), said
    if what in ("nan", "no rows"):
        assert "rank 1 of 2 was given something wrong" in said[0]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("too many", f"k must be at most the number of rows, {N}, got {N + 1}"),
        ("an init", "rank 1 of 2 was given something wrong: x must be finite"),
    ],
)
def test_more_mistakes(told, what, said):
    assert said in str(told[0][what])


def test_a_rank_may_have_no_weight(told):
    assert str(told[0]["no weight here"]) == str(told[1]["no weight here"]) == str(CONVERGED)


@pytest.mark.parametrize(
    "what", ["a rank dies", *(f"{name}/a rank is dead" for name in calls(None))]
)
def test_the_others_hear_of_a_death(told, what):
    said = str(told[0][what])
    assert said.startswith("RuntimeError: rank 0 of 2 waited in vain for the others: a process")


def test_without_a_group_it_says_so():
    from kmeans_fx.distributed.torch import AllReduce

    with pytest.raises(RuntimeError, match="init_process_group"):
        AllReduce()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    child(int(sys.argv[1]), sys.argv[2])
