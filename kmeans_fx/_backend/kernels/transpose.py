"""Rows, as they lie in memory, to the columns of a tile: squares of numbers, in registers."""

from numba import types
from numba.extending import intrinsic

from kmeans_fx._backend.kernels.compiled import compiled
from kmeans_fx._backend.kernels.registers import Register, read, shuffled, write

__all__ = ["fill_tile"]

# Bytes of a row of a square: longer ones would leave more columns over.
_BYTES = 32


@compiled
def fill_tile(x, origin, place, held, tile):
    """The rows of x (n, d) in ``place``, less the origin, become the columns of the tile.

    What is beyond the first ``held`` rows is undefined; ``place`` has a row there, too.
    """
    d, size = tile.shape
    side = _BYTES // x.itemsize
    flat, columns, whole = x.reshape(x.size), tile.reshape(tile.size), d // side * side
    for h in range(0, size, side):
        for f in range(0, whole, side):
            _turn_square(flat, place, h, d, f, origin, columns, f * size + h, size)
    for h in range(held):
        i = place[h]
        for f in range(whole, d):
            tile[f, h] = x[i, f] - origin[f]


@intrinsic
def _turn_square(typing, x, place, h, d, f, origin, tile, start, stride):
    """``tile[start + stride * j + i] = x[place[h + i] * d + f + j] - origin[f + j]``."""
    count = 8 * _BYTES // x.dtype.bitwidth
    vector = Register(x.dtype, count).vector

    def build(context, builder, signature, arguments):
        x_, place_, h_, d_, f_, origin_, tile_, start_, stride_ = arguments

        index = context.make_array(place)(context, builder, place_).data
        less = read(context, builder, origin, (origin_, f_), vector)
        rows = []
        for i in range(count):
            row = builder.load(builder.gep(index, [builder.add(h_, h_.type(i))]))
            offset = builder.add(builder.mul(row, d_), f_)
            rows.append(builder.fsub(read(context, builder, x, (x_, offset), vector), less))
        for j, column in enumerate(_turned(builder, rows)):
            offset = builder.add(start_, builder.mul(stride_, stride_.type(j)))
            write(context, builder, tile, (tile_, offset), column)
        return context.get_dummy_value()

    return types.none(x, place, h, d, f, origin, tile, start, stride), build


def _turned(builder, vectors):
    """The columns of a square: pairs of vectors exchange halves, then quarters, and so on."""
    vectors, count, size = list(vectors), len(vectors), 1
    while size < count:
        for i in range(count):
            if not i & size:
                a, b = vectors[i], vectors[i + size]
                first = [j if not j & size else count + j - size for j in range(count)]
                second = [j + size if not j & size else count + j for j in range(count)]
                vectors[i] = shuffled(builder, a, b, first)
                vectors[i + size] = shuffled(builder, a, b, second)
        size *= 2
    return vectors
