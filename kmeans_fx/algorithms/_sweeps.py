"""A sweep: a function of every block of rows, whose results merge to one total.

An algorithm over data in blocks is written as sweeps and knows nothing of where the blocks
are. An engine is a function ``sweep(function, own, *args, merge)``: it calls
``function(block, kept, *args)``, which gives a Swept, for every block, and returns these
and the total. ``own`` are those of an earlier sweep, of which each block gets back what
it kept, or None. The engine of this file reads the blocks on this machine, one after the
other.
"""

from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer
from kmeans_fx._backend.mapped import in_memory

__all__ = ["Block", "Swept", "block_reader", "join", "local_sweep", "rows_and_weights", "visit"]

# Large enough that a block costs more than starting on it, small enough to hold two.
_BYTES = 1 << 25


class Block(NamedTuple):
    """Rows (m, d), their weights (m,) or None, and the number of the block."""

    number: int
    rows: Any
    weights: Any


class Swept(NamedTuple):
    """What a function of a block gives: arrays to be kept for it, and what merges."""

    kept: Any
    total: Any


def visit(function, block, own, *args):
    """The Swept of one block; a block without rows adds nothing."""
    if tuple(getattr(block.rows, "shape", ()))[:1] == (0,):
        return Swept(None, None)
    return function(block, None if own is None else own.kept, *args)


def join(merge, first, second):
    """The totals of neighbouring blocks together; None adds nothing."""
    if first is None or second is None:
        return second if first is None else first
    return merge(first, second)


def local_sweep(read, device=None):
    """The engine on this machine; ``read()`` iterates over the blocks, which go to ``device``."""
    staging = None if device is None else _staging(device)

    def sweep(function, own, *args, merge):
        outputs, total = [], None
        for block in _arriving(read(), staging):
            output = visit(function, block, None if own is None else own[block.number], *args)
            total = join(merge, total, output.total)
            outputs.append(Swept(output.kept, None))
        return outputs, total

    return sweep


def _staging(device):
    from kmeans_fx._backend.staging import Staging

    return Staging(device)


def _arriving(blocks, staging):
    """The blocks, of which the next one is read, and sent, while one is used."""
    if staging is None:
        yield from read_ahead(iter(blocks))
        return
    sent = ((block.number, staging.send(block.rows, block.weights)) for block in blocks)
    for number, arrays in read_ahead(sent):
        yield Block(number, *staging.receive(arrays))


def read_ahead(items):
    """The items of an iterator, the next being made on a thread while one is used."""
    end = object()
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, items, end)
        while True:
            item = coming.result()
            if item is end:
                return
            coming = reader.submit(next, items, end)
            yield item


def block_reader(blocks, weights=None, block_rows=None):
    """A function that reads the blocks from the start: of an array, an iterable, a callable.

    Raises
    ------
    TypeError, ValueError
        If ``blocks`` is none of these or can be read once only, or ``weights`` do not fit.
    """
    if hasattr(blocks, "shape"):
        return _array_reader(blocks, weights, block_rows)
    for name, value in (("weights", weights), ("block_rows", block_rows)):
        if value is not None:
            msg = f"{name} must be None unless blocks is an array: blocks may be (rows, weights)"
            raise ValueError(msg)
    if callable(blocks):
        return lambda: _numbered(blocks())
    if not hasattr(blocks, "__iter__"):
        msg = f"blocks must be an array, an iterable or a function, got {type(blocks).__name__}"
        raise TypeError(msg)
    if iter(blocks) is blocks:
        msg = (
            "blocks must be readable again and again, got an iterator: "
            "pass a list, or a function that returns a new iterator"
        )
        raise TypeError(msg)
    return lambda: _numbered(blocks)


def _numbered(blocks):
    for number, block in enumerate(blocks):
        yield Block(number, *rows_and_weights(block))


def rows_and_weights(block):
    """A pair (rows, weights) as it is, and rows alone with None."""
    pair = isinstance(block, tuple | list) and len(block) == 2
    return block if pair else (block, None)


def _array_reader(x, weights, block_rows):
    if len(x.shape) != 2 or 0 in x.shape:
        msg = f"blocks must have shape (n, d) and not be empty if an array, got {tuple(x.shape)}"
        raise ValueError(msg)
    n = x.shape[0]
    if weights is not None and tuple(weights.shape) != (n,):
        msg = f"weights must have shape ({n},) to match blocks, got {tuple(weights.shape)}"
        raise ValueError(msg)
    size = _rows_of_a_block(x) if block_rows is None else check_integer("block_rows", block_rows, 1)

    def read():
        for number, start in enumerate(range(0, n, size)):
            span = slice(start, min(start + size, n))
            share = None if weights is None else in_memory(weights, span)
            yield Block(number, in_memory(x, span), share)

    return read


def _rows_of_a_block(x):
    """As many rows as 32 MiB hold; whole chunks, where a store is made of them."""
    size = max(1, _BYTES // (x.dtype.itemsize * prod(x.shape[1:])))
    chunks = getattr(x, "chunks", None)
    if chunks and isinstance(chunks[0], int):
        size = max(1, size // chunks[0]) * chunks[0]
    return size
