"""The engine of sweeps on Dask: tasks on the blocks where they are, and a tree of merges."""

from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from kmeans_fx.algorithms._sweeps import Block, Swept, join, visit

__all__ = ["blocks_of", "connected", "dask_sweep"]

# Totals that one task merges: a level of the tree takes as long as the pass over a block.
_FAN_IN = 8
# Bytes of arguments that go along with every task, and need not wait for one of their own.
_SMALL = 1 << 16


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
    """The engine over blocks that are futures, or Delayed and computed anew in each sweep."""
    from dask import is_dask_collection
    from dask.highlevelgraph import HighLevelGraph

    source = {}
    if is_dask_collection(blocks[0]):
        source = HighLevelGraph.merge(*(block.__dask_graph__() for block in blocks)).to_dict()
        blocks = [block.key for block in blocks]

    def sweep(function, own, *args, merge):
        # The dashboard groups tasks by what stands before the number.
        turn = uuid4().hex
        name = f"kmeans-{function.__name__.replace('_', '-')}"
        call: Any = _Call(function, args)
        graph = dict(source)
        if sum(getattr(array, "nbytes", 0) for array in args) > _SMALL:
            # Not scattered: data of a worker is lost with it, and those of a task are made again.
            graph[f"{name}-call-{turn}"] = (_as_it_is, call)
            call = f"{name}-call-{turn}"
        tasks = [f"{name}-{turn}-{i}" for i in range(len(blocks))]
        for i, (task, block) in enumerate(zip(tasks, blocks, strict=True)):
            graph[task] = (_run, call, block, None if own is None else own[i])
        total = _tree(graph, merge, tasks, f"{name}-merge-{turn}")
        # One message to the scheduler; collections would cost twice its time.
        *outputs, total = client.get(graph, [*tasks, total], sync=False)
        return outputs, total.result()

    return sweep


class _Call:
    """A function and its arguments, in which Dask looks for nothing."""

    def __init__(self, function, args):
        self.function, self.args = function, args


def _as_it_is(call):
    return call


def _run(call, block, own):
    return visit(call.function, block, own, *call.args)


def _tree(graph, merge, parts, name):
    """Add tasks that merge the parts in their order; the name of the last."""
    level = 0
    while level == 0 or len(parts) > 1:
        groups = [parts[i : i + _FAN_IN] for i in range(0, len(parts), _FAN_IN)]
        parts = [f"{name}-{level}-{i}" for i in range(len(groups))]
        graph |= {part: (_merge, merge, group) for part, group in zip(parts, groups, strict=True)}
        level += 1
    return parts[0]


def _merge(merge, parts):
    total = None
    for part in parts:
        total = join(merge, total, part.total if isinstance(part, Swept) else part)
    return total
