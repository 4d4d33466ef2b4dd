"""Eight numbers side by side, for Numba: vectors of LLVM where its loops do not become any.

A loop over eight candidates is too short for LLVM's vectoriser, and one over the rows needs
them transposed first. LLVM turns a vector into however many registers the CPU has for it.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from kmeans_fx._backend.kernels.registers import Register, everywhere, loading

__all__ = [
    "LANES",
    "below",
    "excess",
    "fetch_columns",
    "load",
    "splat",
    "weighted",
    "with_square",
]

LANES = 8
# Bytes that come to the cache together.
_LINE = 64
_FAST = ("contract", "nsz", "reassoc")


def _lanes(dtype):
    return Register(dtype, LANES)


def _splat(builder, value):
    return everywhere(builder, ir.VectorType(value.type, LANES), value)


@intrinsic
def splat(_, number):
    """The number in all lanes."""

    def build(context, builder, signature, given):
        return _splat(builder, given[0])

    return _lanes(number)(number), build


@intrinsic
def load(_, array, start):
    """Eight numbers of a flat array, from ``start`` on."""
    return loading(_lanes(array.dtype), array)


@intrinsic
def with_square(_, total, number, others):
    """``total + (number - others) ** 2`` in every lane."""

    def build(context, builder, signature, given):
        total, number, others = given
        gap = builder.fsub(_splat(builder, number), others, flags=_FAST)
        return builder.fadd(total, builder.fmul(gap, gap, flags=_FAST), flags=_FAST)

    return total(total, total.dtype, others), build


@intrinsic
def excess(_, number, lanes):
    """``max(number - lanes, 0)`` in every lane."""

    def build(context, builder, signature, given):
        gap = builder.fsub(_splat(builder, given[0]), given[1], flags=_FAST)
        zero = ir.Constant(gap.type, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered(">", gap, zero), gap, zero)

    return lanes(lanes.dtype, lanes), build


@intrinsic
def weighted(_, total, weight, lanes):
    """``total + weight * lanes`` in every lane."""

    def build(context, builder, signature, given):
        total, weight, lanes = given
        product = builder.fmul(_splat(builder, weight), lanes, flags=_FAST)
        return builder.fadd(total, product, flags=_FAST)

    return total(total, total.dtype, lanes), build


@intrinsic
def below(_, lanes, number):
    """Bit j is set where lane j is below the number."""

    def build(context, builder, signature, given):
        is_below = builder.fcmp_ordered("<", given[0], _splat(builder, given[1]))
        return builder.bitcast(is_below, ir.IntType(LANES))

    return types.uint8(lanes, lanes.dtype), build


@intrinsic
def fetch_columns(_, table, row, first, stop):
    """Have columns of a row of a contiguous table (m, n) brought to the cache.

    Nothing waits for them.
    """

    def build(context, builder, signature, given):
        array = context.make_array(signature.args[0])(context, builder, given[0])
        whole, number = cgutils.unpack_tuple(builder, array.strides, 2)
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        start = builder.gep(builder.bitcast(array.data, byte), [builder.mul(given[1], whole)])
        line = context.get_constant(types.intp, _LINE)
        first, stop = (builder.mul(column, number) for column in given[2:])
        with cgutils.for_range_slice(builder, first, stop, line) as (offset, _):
            # To read, to be used soon, of data.
            builder.call(fetch, [builder.gep(start, [offset]), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp, types.intp), build
