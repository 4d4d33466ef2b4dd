"""Vectors of a processor as values of Numba: what keeps scores in registers.

LLVM vectorises a loop, and then its sums live in memory. With values of this type a kernel
says which sums stay in registers. Sixteen numbers in float32, eight in float64: a register of
AVX-512; on other processors half as many: one of AVX2, which LLVM splits in two where it has
shorter ones.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

__all__ = [
    "Register",
    "add",
    "broadcast",
    "everywhere",
    "fma",
    "larger",
    "load",
    "loading",
    "read",
    "root",
    "select",
    "shuffled",
    "smaller",
    "spread",
    "store",
    "subtract",
    "total",
    "width",
    "write",
]

# Of the processor that Numba compiles for.
_FEATURES = cpu_target.target_context.codegen().magic_tuple()[-1].split(",")
_BITS = 512 if "+avx512f" in _FEATURES else 256


class Register(types.Type):
    """A vector of numbers of one type; of indices as many as the scores they belong to."""

    def __init__(self, dtype, count):
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Register({dtype}, {count})")

    @property
    def vector(self):
        floats = {32: ir.FloatType(), 64: ir.DoubleType()}
        bits = self.dtype.bitwidth
        number = floats[bits] if isinstance(self.dtype, types.Float) else ir.IntType(bits)
        return ir.VectorType(number, self.count)


@register_model(Register)
class _RegisterModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.vector)


def _count_of(dtype):
    """How many numbers of a type a vector holds."""
    return _BITS // dtype.bitwidth


@intrinsic
def width(typing, like):
    """How many numbers of the array's type a vector holds: a constant."""

    def build(context, builder, signature, arguments):
        return context.get_constant(types.intp, _count_of(like.dtype))

    return types.intp(like), build


@intrinsic
def load(typing, array, place):
    """The numbers of a contiguous 1-d array from a place on."""
    return loading(Register(array.dtype, _count_of(array.dtype)), array)


@intrinsic
def store(typing, array, place, value):
    """Write a vector to a contiguous 1-d array from a place on."""

    def build(context, builder, signature, arguments):
        write(context, builder, array, arguments, arguments[2])
        return context.get_dummy_value()

    return types.none(array, types.intp, value), build


@intrinsic
def broadcast(typing, number, like):
    """The same number in every lane, as many as in a vector of the type of the array ``like``."""
    kind = Register(number, _count_of(like.dtype))

    def build(context, builder, signature, arguments):
        return everywhere(builder, kind.vector, arguments[0])

    return kind(number, like), build


@intrinsic
def spread(typing, array, place):
    """The number at a place of a contiguous 1-d array, in every lane."""
    kind = Register(array.dtype, _count_of(array.dtype))

    def build(context, builder, signature, arguments):
        start = context.make_array(array)(context, builder, arguments[0]).data
        number = builder.load(builder.gep(start, [arguments[1]]))
        return everywhere(builder, kind.vector, number)

    return kind(array, types.intp), build


@intrinsic
def add(typing, a, b):
    """The sum a + b."""

    def build(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return a(a, b), build


@intrinsic
def root(typing, a):
    """The square root."""

    def build(context, builder, signature, arguments):
        return _intrinsic_of_llvm(builder, "sqrt", a, arguments)

    return a(a), build


@intrinsic
def fma(typing, a, b, c):
    """Multiply and add, a * b + c, rounded once."""

    def build(context, builder, signature, arguments):
        return _intrinsic_of_llvm(builder, "fma", a, arguments)

    return a(a, b, c), build


@intrinsic
def subtract(typing, a, b):
    """The difference a - b."""

    def build(context, builder, signature, arguments):
        return builder.fsub(*arguments)

    return a(a, b), build


@intrinsic
def total(typing, a):
    """The sum of the lanes."""

    def build(context, builder, signature, arguments):
        value, half = arguments[0], a.count // 2
        while half:
            order = [(i + half) % a.count for i in range(a.count)]
            value = builder.fadd(value, shuffled(builder, value, value, order))
            half //= 2
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return a.dtype(a), build


@intrinsic
def smaller(typing, a, b):
    """Of two the smaller: a where a < b, else b, which is what is left of a comparison with NaN."""

    def build(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments), *arguments)

    return a(a, b), build


@intrinsic
def larger(typing, a, b):
    """Of two the larger: a where a > b, else b."""

    def build(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return a(a, b), build


@intrinsic
def select(typing, a, b, one, other):
    """``one`` where a < b, else ``other``."""

    def build(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments[:2]), *arguments[2:])

    return one(a, b, one, other), build


def loading(kind, array):
    """The signature and the code of an intrinsic that loads a vector of a kind."""

    def build(context, builder, signature, arguments):
        return read(context, builder, array, arguments, kind.vector)

    return kind(array, types.intp), build


def read(context, builder, array, arguments, vector):
    """Code that loads a vector, from values that begin with the array and the place."""
    place = _pointer(context, builder, array, arguments, vector)
    return builder.load(place, align=array.dtype.bitwidth // 8)


def write(context, builder, array, arguments, value):
    """Code that stores a vector, to where values that begin with the array and the place say."""
    place = _pointer(context, builder, array, arguments, value.type)
    builder.store(value, place, align=array.dtype.bitwidth // 8)


def _intrinsic_of_llvm(builder, name, register, arguments):
    """Code that calls what LLVM has for vectors like the register: as many go in, and one out."""
    kind = ir.FunctionType(register.vector, [register.vector] * len(arguments))
    name = f"llvm.{name}.v{register.count}f{register.dtype.bitwidth}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _pointer(context, builder, array, arguments, vector):
    """The address of a vector, from arguments that begin with the array and the place."""
    start = context.make_array(array)(context, builder, arguments[0]).data
    return builder.bitcast(builder.gep(start, [arguments[1]]), vector.as_pointer())


def everywhere(builder, vector, number):
    """A number in every lane."""
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, zero)
    return shuffled(builder, one, one, [0] * vector.count)


def shuffled(builder, a, b, order):
    """The lanes of two vectors, b's counted after those of a, in an order."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    return builder.shuffle_vector(a, b, mask)
