"""The search of the nearest centroid for JAX on a GPU of NVIDIA, written in Pallas.

XLA would write the scores of a block to memory and read them for the least; here they stay
in registers. Triton, which comes with JAX, compiles it.
"""

from functools import partial

from jax import ShapeDtypeStruct, lax
from jax import numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas.triton import CompilerParams, load, store

from kmeans_fx._backend.namespace import index_dtype

__all__ = ["nearest"]

# The tile of scores that a program holds.
_ROWS, _CENTROIDS = 64, 64


def nearest(rows, operand, bias, interpret=False):
    """Labels (n,) of the rows (n, d): the first j of the least bias_j + x . operand_j.

    ``operand`` is (d, k). A program has all columns of its rows in registers.
    """
    (n, d), (k,) = rows.shape, bias.shape
    # Sides of a tile are powers of two, those of a product 16 at least.
    columns = max(16, 1 << (d - 1).bit_length())
    more = -k % _CENTROIDS
    operand = jnp.pad(operand, ((0, columns - d), (0, more)))
    bias = jnp.pad(bias, (0, more), constant_values=jnp.inf)
    labels = pl.pallas_call(
        partial(_search, n=n, d=d),
        out_shape=ShapeDtypeStruct((n,), jnp.int32),
        grid=(-(-n // _ROWS),),
        compiler_params=CompilerParams(num_warps=4, num_stages=2),
        interpret=interpret,
    )(rows, operand, bias)
    return labels.astype(index_dtype(jnp, rows))


def _search(x, operand, bias, labels, *, n, d):
    """The labels of a tile of rows, while tiles of centroids pass."""
    first = pl.program_id(0) * _ROWS
    there = first + jnp.arange(_ROWS, dtype=jnp.int32) < n
    features = jnp.arange(operand.shape[0], dtype=jnp.int32) < d
    at = pl.ds(first, _ROWS), pl.ds(0, operand.shape[0])
    tile = load(x.at[at], mask=there[:, None] & features[None, :], other=0.0)

    def body(turn, best):
        least, place = best
        centroids = pl.ds(turn * _CENTROIDS, _CENTROIDS)
        products = jnp.dot(tile, operand[:, centroids], precision="highest")
        scores = products + bias[centroids][None, :]
        low = jnp.min(scores, axis=1)
        own = lax.argmin(scores, 1, jnp.int32) + turn * _CENTROIDS
        closer = low < least
        return jnp.where(closer, low, least), jnp.where(closer, own, place)

    start = jnp.full((_ROWS,), jnp.inf, jnp.float32), jnp.zeros((_ROWS,), jnp.int32)
    _, place = lax.fori_loop(0, bias.shape[0] // _CENTROIDS, body, start)
    store(labels.at[at[0]], place, mask=there)
