"""Rows in blocks that fit the cache, so that nothing of size n x k is ever whole.

A block function maps slices of the leading axis to ``(outputs, totals)``: outputs
keep the leading axis and are joined again, totals are summed over the blocks. Sums
over many rows are therefore kept per block first, which also keeps them accurate.
"""

from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    on_accelerator,
)
from kmeans_fx._backend.pool import run_tasks
from kmeans_fx._backend.sharding import as_varying, row_parts
from kmeans_fx._backend.threads import threads
from kmeans_fx._backend.transform import quiet

__all__ = ["map_blocks", "map_in_turn", "rows_per_block"]

# A task is some blocks: enough tasks to keep the threads level, not so many that
# starting them costs.
_BLOCKS_PER_TASK, _TASKS = 16, 32
# A block on an accelerator, of which a few are alive at a time.
_DEVICE_BYTES = 256 << 20
# Rows of a block where a block is cut for several devices.
_LEAST_ROWS = 1024


def rows_per_block(x, columns):
    """How many rows of so many numbers of scratch make the fastest block, for arrays like x.

    Measured on CPUs with 1 MiB of cache a core: a block may exceed the cache, since
    few of its numbers are alive at a time, and short blocks leave threads waiting for
    the interpreter. XLA shares a loop between threads where it is long for its work. An
    accelerator wants blocks as large as memory allows.
    """
    budget, most = 4 << 20, 32768
    is_jax = is_jax_namespace(array_namespace(x=x))
    if on_accelerator(x) or (is_jax and _compiles_for_accelerator()):
        budget = most = _DEVICE_BYTES
    elif is_jax:
        budget, most = 5 << 20, 65536 if columns <= 32 else 4096
    return max(64, min(most, budget // (4 * max(columns, 1))))


def _compiles_for_accelerator():
    """JAX: under a trace no array knows its device, so the default one has to tell."""
    import jax

    return jax.default_backend() != "cpu"


def map_blocks(function, arrays, size):
    """Apply ``function`` to blocks of at most ``size`` along the leading axis.

    Parameters
    ----------
    function : callable
        ``(*blocks) -> (outputs, totals)``, two tuples of arrays.
    arrays : tuple of arrays of equal length along axis 0; None is passed through.
    size : int

    Returns
    -------
    outputs, totals : tuples of arrays
    """
    xp = array_namespace(x=arrays[0])
    n = arrays[0].shape[0]
    if n <= size:
        return function(*arrays)
    if is_jax_namespace(xp):
        parts = row_parts(n)
        if parts > 1:
            return _map_parts(xp, function, arrays, size, parts)
        return _map_scan(xp, function, arrays, size)
    workers = threads()
    if workers > 0:
        return _map_threads(xp, function, arrays, size, workers)
    return _map_python(xp, function, arrays, range(0, n, size), size, n)


def map_in_turn(function, arrays, size):
    """`map_blocks`, one block after the other: for a function that uses all devices itself."""
    xp = array_namespace(x=arrays[0])
    n = arrays[0].shape[0]
    if n <= size:
        return function(*arrays)
    if is_jax_namespace(xp):
        return _map_scan(xp, function, arrays, size)
    return _map_python(xp, function, arrays, range(0, n, size), size, n)


def _slice(arrays, start, stop):
    return tuple(a if a is None else a[start:stop, ...] for a in arrays)


def _add(first, second):
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _map_python(xp, function, arrays, starts, size, stop):
    """Any eager or unrolled backend: a loop over the blocks."""
    pieces, totals = _fold(function, arrays, starts, size, stop)
    return _join(xp, pieces), totals


def _fold(function, arrays, starts, size, stop):
    """The outputs of every block, and the totals of all."""
    pieces, totals = [], None
    for start in starts:
        outputs, parts = function(*_slice(arrays, start, min(start + size, stop)))
        pieces.append(outputs)
        totals = parts if totals is None else _add(totals, parts)
    return pieces, totals


def _join(xp, pieces):
    return tuple(xp.concat(piece, axis=0) for piece in zip(*pieces, strict=True))


def _map_scan(xp, function, arrays, size):
    """JAX: one compiled body over the whole blocks, then the remainder."""
    import jax
    from jax import lax

    n = arrays[0].shape[0]
    blocks = n // size

    def body(totals, block):
        # Cut the block out here: slices of the whole arrays would be copies of them.
        cut = (a if a is None else lax.dynamic_slice_in_dim(a, block * size, size) for a in arrays)
        outputs, parts = function(*cut)
        return _add(totals, parts), outputs

    _, shapes = jax.eval_shape(function, *_slice(arrays, 0, size))
    place = device(arrays[0])
    zeros = tuple(xp.zeros(shape.shape, dtype=shape.dtype, device=place) for shape in shapes)
    turns = xp.arange(blocks, device=place)
    zeros = as_varying(lambda totals: body(totals, turns[0])[0], zeros)
    totals, outputs = lax.scan(body, zeros, turns)
    outputs = tuple(_flatten(xp, output) for output in outputs)
    if blocks * size == n:
        return outputs, totals
    rest, parts = function(*_slice(arrays, blocks * size, n))
    joined = tuple(xp.concat(pair, axis=0) for pair in zip(outputs, rest, strict=True))
    return joined, _add(totals, parts)


def _map_parts(xp, function, arrays, size, parts):
    """JAX: rows that may lie on several devices, as parts of which each is on one of them.

    A block of all rows would be brought together from all devices. So every part has its own
    blocks and its own totals, which are added last: one exchange between the devices.
    """
    import jax

    size = max(size // parts, min(size, _LEAST_ROWS))

    def split(array):
        return xp.reshape(array, (parts, -1, *array.shape[1:]))

    def part(*given):
        rest = iter(given)
        own = [a if a is None else next(rest) for a in arrays]
        return function(*own) if given[0].shape[0] <= size else _map_scan(xp, function, own, size)

    outputs, totals = jax.vmap(part)(*(split(a) for a in arrays if a is not None))
    return tuple(_flatten(xp, o) for o in outputs), tuple(xp.sum(t, axis=0) for t in totals)


def _flatten(xp, array):
    blocks, size, *rest = array.shape
    return xp.reshape(array, (blocks * size, *rest))


def _map_threads(xp, function, arrays, size, workers):
    """NumPy and PyTorch on a CPU: tasks of several blocks, each on one thread.

    The tasks and the order in which their totals are added depend on the shapes
    alone, so the result does not depend on the number of threads.
    """
    n = arrays[0].shape[0]
    span = size * max(1, min(_BLOCKS_PER_TASK, n // size // _TASKS))
    starts = range(0, n, span)

    def task(start):
        stop = min(start + span, n)
        with quiet(xp):  # a thread does not inherit it
            return _fold(function, arrays, range(start, stop, size), size, stop)

    pieces: list = []
    totals: tuple = ()

    def take(result):
        nonlocal totals
        outputs, parts = result
        totals = _add(totals, parts) if pieces else parts
        pieces.extend(outputs)

    run_tasks(task, starts, min(workers, len(starts)), take)
    return _join(xp, pieces), totals
