"""Half precision to the dtype in which sums are kept.

What NumPy does with float16 takes the numbers one by one. Of their bits it works on many at once.
"""

from kmeans_fx._backend.namespace import accumulation_dtype, array_namespace, is_numpy_namespace

__all__ = ["all_finite", "is_float16", "widened"]

# Of float16: the first positive number that is whole in its mantissa, and that is none; the sign.
_NORMAL, _INFINITE, _SIGN = 0x0400, 0x7C00, 0x8000
# How many bits of mantissa float32 has more, where three copies of the sign are then, and by how
# much its exponents are larger.
_LONGER, _COPIES, _BIAS = 13, 7 << 28, 2.0 ** (127 - 15)
_SMALL = 2.0**-140


def widened(x):
    """Give x as float32 where it is in half precision, else as it is. Nothing is rounded."""
    xp = array_namespace(x=x)
    if is_float16(xp, x) and all_finite(xp, x):
        return _from_float16(xp, x)
    return xp.astype(x, accumulation_dtype(xp, x.dtype), copy=False)


def is_float16(xp, x):
    """Whether x is one of NumPy's arrays of float16."""
    return is_numpy_namespace(xp) and x.dtype == xp.float16 and x.dtype.isnative


def all_finite(xp, x):
    """Whether all numbers of a NumPy array of float16 are finite."""
    above, below = x.view(xp.int16), x.view(xp.uint16)
    return above.max(initial=0) < _INFINITE and below.max(initial=0) < _SIGN + _INFINITE


def _from_float16(xp, x):
    # Textbook form: x.astype(float32).
    wide = x.view(xp.int16).astype(xp.int32)
    wide <<= _LONGER
    wide &= ~_COPIES
    single = wide.view(xp.float32)
    single *= _BIAS
    if _flushes(xp):
        size = x.view(xp.int16) & (_SIGN - 1)
        small = (size > 0) & (size < _NORMAL)
        single[small] = x[small].astype(xp.float32)
    return single


def _flushes(xp):
    """Whether this thread takes the smallest numbers of float32 for 0, as XLA's do."""
    return xp.float32(_SMALL) * xp.float32(_BIAS) == 0
