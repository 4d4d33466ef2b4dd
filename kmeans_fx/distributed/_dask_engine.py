"""The engine of sweeps on Dask: tasks on the blocks where they are, and a tree of merges."""

from contextlib import contextmanager
from uuid import uuid4

from kmeans_fx.algorithms._sweeps import Block, Swept, join, visit

__all__ = ["blocks_of", "connected", "dask_sweep"]

# Totals that one task merges.
_FAN_IN = 4


@contextmanager
def connected(client):
    """The client given, that of the surroundings, or one of a cluster on this machine."""
    from distributed import Client, LocalCluster, default_client

    if client is None:
        try:
            client = default_client()
        except ValueError:
            options = {"threads_per_worker": 1, "dashboard_address": ":0"}
            with LocalCluster(**options) as cluster, Client(cluster) as own:
                yield own
            return
    yield client


def blocks_of(x, others=None, name="weights"):
    """Blocks of a Dask array (n, d) and of an array (n,) that goes with it, not yet computed.

    Raises
    ------
    TypeError, ValueError
        If they are no Dask arrays, or do not fit.
    """
    from dask import delayed

    _check(x, "x", 2)
    x = x.rechunk({1: -1}) if x.numblocks[1] > 1 else x
    rows = list(x.to_delayed()[:, 0])
    shares = [None] * len(rows)
    if others is not None:
        shares = _fitting(x, others, name)
    make = delayed(Block, pure=True)
    return [make(i, *pair) for i, pair in enumerate(zip(rows, shares, strict=True))]


def _check(array, name, ndim):
    import dask.array as da

    if not isinstance(array, da.Array):
        msg = f"{name} must be a dask.array.Array, got {type(array).__name__}"
        raise TypeError(msg)
    if array.ndim != ndim:
        msg = f"{name} must have {ndim} dimensions, got {array.ndim}"
        raise ValueError(msg)


def _fitting(x, others, name):
    """The blocks of an array (n,), cut as those of x are."""
    _check(others, name, 1)
    if str(others.chunks[0]) != str(x.chunks[0]):  # NaN, an unknown length, equals nothing
        if x.shape[0] != others.shape[0]:
            msg = f"{name} must have shape ({x.shape[0]},) to match x, got {others.shape}"
            raise ValueError(msg)
        others = others.rechunk((x.chunks[0],))
    return list(others.to_delayed())


def dask_sweep(client, blocks):
    """The engine over blocks as Delayed objects: computed in each sweep unless persisted."""
    from dask import delayed

    def sweep(function, own, *args, merge):
        # The dashboard groups tasks by what stands before the number.
        name = f"kmeans-{function.__name__.replace('_', '-')}"
        turn = uuid4().hex
        # Data scattered to a worker would be lost with it; those of a task are made again.
        call = delayed(_Call(function, args), name=f"{name}-call-{turn}", traverse=False)
        run = delayed(_run, pure=False)
        outputs = [
            run(call, block, None if own is None else own[i], dask_key_name=f"{name}-{turn}-{i}")
            for i, block in enumerate(blocks)
        ]
        total = _tree(delayed(_merge, pure=False), merge, outputs, f"{name}-merge-{turn}")
        *outputs, total = client.persist([*outputs, total])
        return outputs, client.compute(total).result()

    return sweep


class _Call:
    """A function and its arguments, in which Dask looks for nothing."""

    def __init__(self, function, args):
        self.function, self.args = function, args


def _run(call, block, own):
    return visit(call.function, block, own, *call.args)


def _tree(task, merge, parts, name):
    """The total of the parts, which merge in their order."""
    level = 0
    while level == 0 or len(parts) > 1:
        groups = [parts[i : i + _FAN_IN] for i in range(0, len(parts), _FAN_IN)]
        parts = [
            task(merge, group, dask_key_name=f"{name}-{level}-{i}")
            for i, group in enumerate(groups)
        ]
        level += 1
    return parts[0]


def _merge(merge, parts):
    total = None
    for part in parts:
        total = join(merge, total, part.total if isinstance(part, Swept) else part)
    return total
