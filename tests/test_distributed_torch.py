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

import numpy as np
import pytest

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
    told = compare(rank) | train(rank) | disagree(rank)
    told["shards of a DTensor"] = of_dtensor(rank)
    np.savez(f"{path}/{rank}.npz", **told)
    dist.barrier()
    if rank == 1:
        os._exit(0)  # it dies, and says nothing
    told["a rank dies"] = refusal(lambda: fits()["lloyd"](rows_of(0), reduction()))
    np.savez(f"{path}/{rank}.npz", **told)


def rows_of(rank):
    return all_rows()[CUTS[rank] : CUTS[rank + 1]]


def reduction():
    from kmeans_fx.distributed.torch import AllReduce

    return AllReduce()


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
    return told


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
    from torch.distributed.tensor import DTensor, Shard

    import kmeans_fx as kf
    from kmeans_fx.distributed.torch import AllReduce

    mesh = init_device_mesh("cpu", (2,))
    shape = torch.Size((N, D))
    x = DTensor.from_local(rows_of(rank), mesh, [Shard(0)], shape=shape, stride=(D, 1))
    reduce = AllReduce(mesh.get_group())
    return kf.kmeans(x.to_local(), K, key=0, empty="split", reduce=reduce).centroids.numpy()


def disagree(rank):
    """What is said if rank 1 is given something wrong."""
    import torch

    import kmeans_fx as kf

    x, r = rows_of(rank), reduction()

    def fit(x, k=3):
        return kf.kmeans(x, k, key=0, empty="split", reduce=r)

    def lloyd(x):
        return kf.lloyd(x, x[:2, :], empty="keep", reduce=r)

    return {
        "columns": refusal(lambda: lloyd(x[:, : D - rank])),
        "dtype": refusal(lambda: fit(x.to((torch.float32, torch.float64)[rank]))),
        "nan": refusal(lambda: fit(x / 0 if rank else x)),
        "no rows": refusal(lambda: fit(x[:0] if rank else x)),
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
    except (ValueError, RuntimeError) as error:
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
    assert int(told[0]["minibatch_step/messages"]) == 1 + 2  # mean and variance for tol


def test_all_ranks_begin_as_the_first(told):
    for one in told:
        np.testing.assert_array_equal(one["another key"], told[0]["kmeans/mine/centroids"])
        np.testing.assert_array_equal(one["other starts"], told[0]["lloyd/mine/centroids"])


def test_a_codebook_trains_on_two_ranks_as_on_one(told):
    for one in told:
        np.testing.assert_allclose(one["codes/mine"], one["codes/whole"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one["weights/mine"], one["weights/whole"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(told[0]["revived codes"], told[1]["revived codes"])
    assert np.abs(told[0]["revived codes"] - told[0]["codes/mine"]).max() > 1e-3


def test_shards_of_a_dtensor(told):
    for one in told:
        np.testing.assert_array_equal(one["shards of a DTensor"], told[0]["kmeans/mine/centroids"])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("columns", "columns of x must be the same on all ranks, got 5 on rank 0 and 4 on rank 1"),
        ("dtype", "torch.float32 on rank 0 and torch.float64 on rank 1"),
        ("nan", "x must be finite, got NaN or infinity"),
        ("no rows", "x must not be empty, got shape (0, 5)"),
        ("too many", f"k must be at most the number of rows, {N}, got {N + 1}"),
        ("an init", "x must be finite"),
    ],
)
def test_all_ranks_hear_of_a_mistake(told, what, said):
    for one in told:
        assert str(one[what]).startswith("ValueError")
        assert said in str(one[what])
    if what in ("nan", "no rows", "an init"):
        assert "rank 1 of 2 was given something wrong" in str(told[0][what])


def test_a_rank_may_have_no_weight(told):
    assert str(told[0]["no weight here"]) == str(told[1]["no weight here"]) == str(CONVERGED)


def test_the_others_hear_of_a_death(told):
    said = str(told[0]["a rank dies"])
    assert said.startswith("RuntimeError: rank 0 of 2 waited in vain for the others: a process")


def test_without_a_group_it_says_so():
    from kmeans_fx.distributed.torch import AllReduce

    with pytest.raises(RuntimeError, match="init_process_group"):
        AllReduce()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    child(int(sys.argv[1]), sys.argv[2])
