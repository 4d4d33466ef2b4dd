"""Counter-based random numbers: threefry2x32, the same bits on every backend.

A key is an integer array (..., 2) of 32-bit words. On PyTorch the words are kept in
int64 and masked, because its uint32 has no arithmetic; elsewhere they are uint32 and
wrap around by themselves. Bits, uniforms, ``split``, ``fold_in``, ``randint`` and
``permutation`` equal those of ``jax.random`` for the same key.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers:
   as easy as 1, 2, 3", SC 2011 (Threefry, section 4.2, with 20 rounds).
"""

import math

from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    is_torch_namespace,
)
from kmeans_fx._backend.segment import segment_sum
from kmeans_fx._backend.sharding import row_parts

__all__ = [
    "as_key",
    "block_sums",
    "choice",
    "fold_in",
    "invert",
    "normal",
    "permutation",
    "randint",
    "random_bits",
    "split",
    "uniform",
]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF


def as_key(key, xp, place):
    """The words (..., 2) of a key, in namespace ``xp`` on the device ``place``.

    Parameters
    ----------
    key : int, integer array (..., 2), jax.random.key, numpy.random.Generator or torch.Generator
        A generator gives one draw of two words and moves on.

    Raises
    ------
    TypeError
        If ``key`` is none of these.
    ValueError
        If an int is negative or has more than 64 bits, or an array has no two words.
    """
    kind = f"{type(key).__module__}.{type(key).__name__}"
    if isinstance(key, int) and not isinstance(key, bool):
        words = _int_words(key)
    elif kind == "numpy.random._generator.Generator":
        words = key.integers(0, 1 << 32, size=2).tolist()
    elif kind in ("torch._C.Generator", "torch.Generator"):
        import torch

        words = torch.randint(0, 1 << 32, (2,), generator=key, device=key.device).tolist()
    elif hasattr(key, "dtype") and hasattr(key, "shape"):
        return _array_words(key, xp, place)
    else:
        msg = (
            "key must be an int, an integer array of two words, a jax.random.key, a "
            f"numpy.random.Generator or a torch.Generator, got {type(key).__name__}"
        )
        raise TypeError(msg)
    return xp.asarray(words, dtype=_word_dtype(xp), device=place)


def _int_words(key):
    if not 0 <= key < 1 << 64:
        msg = f"key must be between 0 and 2**64 - 1, got {key}"
        raise ValueError(msg)
    return [key >> 32, key & _MASK]


def _array_words(key, xp, place):
    if str(key.dtype).startswith("key<"):
        import jax

        key = jax.random.key_data(key)
    space = array_namespace(key=key)
    if not space.isdtype(key.dtype, "integral") or key.ndim == 0 or key.shape[-1] != 2:
        msg = (
            "key must be an integer array of two words (..., 2), "
            f"got {key.dtype} of shape {tuple(key.shape)}"
        )
        raise ValueError(msg)
    if space is not xp:
        # Two words of another library: read them, which a traced key refuses clearly.
        words = [int(word) & _MASK for word in space.reshape(key, (-1,))]
        return xp.reshape(xp.asarray(words, dtype=_word_dtype(xp), device=place), tuple(key.shape))
    return _wrap(xp, xp.astype(key, _word_dtype(xp)))


def _word_dtype(xp):
    return xp.int64 if is_torch_namespace(xp) else xp.uint32


def _wrap(xp, words):
    """Reduce modulo 2**32, which uint32 does by itself."""
    return words & _MASK if is_torch_namespace(xp) else words


def _rotate(xp, words, bits):
    return _wrap(xp, words << bits) | (words >> (32 - bits))


def threefry2x32(xp, key, high, low):
    """Encrypt the counters (m,) with keys (..., 2): two arrays of words (..., m)."""
    first, second = key[..., 0:1], key[..., 1:2]
    schedule = (first, second, first ^ second ^ _PARITY)
    high, low = _wrap(xp, high + first), _wrap(xp, low + second)
    for turn in range(5):
        for bits in _ROTATIONS[turn % 2]:
            high = _wrap(xp, high + low)
            low = _rotate(xp, low, bits) ^ high
        high = _wrap(xp, high + schedule[(turn + 1) % 3])
        low = _wrap(xp, low + schedule[(turn + 2) % 3] + (turn + 1))
    return high, low


def _counters(xp, key, size):
    # Fewer than 2**32 numbers a call, so that the high word of the counter is 0.
    place = device(key)
    low = xp.arange(size, dtype=xp.int64 if is_torch_namespace(xp) else xp.int32, device=place)
    low = xp.astype(low, _word_dtype(xp))
    return xp.zeros_like(low), low


def random_bits(key, shape):
    """Words of 32 random bits, of shape (..., *shape) for keys (..., 2)."""
    xp = array_namespace(key=key)
    high, low = threefry2x32(xp, key, *_counters(xp, key, math.prod(shape)))
    return xp.reshape(high ^ low, (*key.shape[:-1], *shape))


def split(key, num=2):
    """``num`` independent keys, of shape (..., num, 2)."""
    xp = array_namespace(key=key)
    return xp.stack(threefry2x32(xp, key, *_counters(xp, key, num)), axis=-1)


def fold_in(key, data):
    """The key (..., 2) for ``data``: a non-negative int, or an integer array below 2**31."""
    xp = array_namespace(key=key)
    if isinstance(data, int):
        words = xp.asarray(_int_words(data), dtype=_word_dtype(xp), device=device(key))
        high, low = words[:1], words[1:]
    else:
        low = xp.astype(data, _word_dtype(xp))[..., None]
        high = xp.zeros_like(low)
    return xp.concat(threefry2x32(xp, key, high, low), axis=-1)


def uniform(key, shape, dtype):
    """Uniform numbers in [0, 1), multiples of 2**-23, of shape (..., *shape)."""
    xp = array_namespace(key=key)
    return xp.astype(random_bits(key, shape) >> 9, dtype) * 2.0**-23


def normal(key, shape, dtype):
    """Standard normal numbers of shape (..., *shape), two uniforms each (Box and Muller)."""
    xp = array_namespace(key=key)
    pair = split(key)
    radius = -2 * xp.log1p(-uniform(pair[..., 0, :], shape, dtype))
    return xp.sqrt(radius) * xp.cos(2 * math.pi * uniform(pair[..., 1, :], shape, dtype))


def randint(key, shape, span):
    """Integers in [0, span) as words of the key's dtype, for 1 <= span < 2**31."""
    xp = array_namespace(key=key)
    pair = split(key)
    high, low = random_bits(pair[..., 0, :], shape), random_bits(pair[..., 1, :], shape)
    # 64 random bits modulo the span: high * 2**32 + low, with 2**32 reduced first.
    factor = (65536 % span) ** 2 % (1 << 32) % span
    return _wrap(xp, _wrap(xp, (high % span) * factor) + low % span) % span


def permutation(key, n):
    """A random order of ``range(n)``, of shape (..., n), in the default index dtype."""
    xp = array_namespace(key=key)
    batch = key.shape[:-1]
    order = xp.broadcast_to(xp.arange(n, device=device(key)), (*batch, n))
    # Sort keys of 32 bits may collide; as many rounds as make a collision in all unlikely.
    for _ in range(math.ceil(3 * math.log(max(1, n)) / math.log(_MASK))):
        pair = split(key)
        key, bits = pair[..., 0, :], random_bits(pair[..., 1, :], (n,))
        order = xp.take_along_axis(order, xp.argsort(bits, axis=-1, stable=True), axis=-1)
    return order


def choice(draws, p, sums=None):
    """Indices drawn with probability proportional to ``p``, by its inverse CDF.

    The distribution function is kept over blocks of about sqrt(n) numbers, and one
    draw picks the block, another the place in it: few operations, no long float32
    sum, and never an entry of probability 0 while a positive one exists.

    Parameters
    ----------
    draws : array (..., t, 2)
        Uniform in [0, 1).
    p : array (..., n)
        Not negative. If all are 0, index 0 is drawn.
    sums : array, optional
        ``block_sums(p)``, where it is drawn from more than once.

    Returns
    -------
    array (..., t) of the default index dtype
    """
    xp = array_namespace(draws=draws, p=p)
    n = p.shape[-1]
    size = _block_size(n)
    sums = block_sums(p) if sums is None else sums
    block = invert(xp, sums[..., None, :], draws[..., 0])
    places = block[..., None] * size + xp.arange(size, dtype=block.dtype, device=device(p))
    inside = places < n
    flat = xp.reshape(xp.where(inside, places, xp.zeros_like(places)), (*p.shape[:-1], -1))
    entries = xp.reshape(xp.take_along_axis(p, flat, axis=-1), places.shape)
    entries = xp.where(inside, entries, xp.zeros_like(entries))
    return block * size + invert(xp, entries, draws[..., 1])


def block_sums(p):
    """Sums of ``p`` (..., n) over blocks of about sqrt(n) entries."""
    xp = array_namespace(p=p)
    n = p.shape[-1]
    size = _block_size(n)
    if is_jax_namespace(xp) and p.ndim == 1 and row_parts(n) > 1:
        # Blocks that several devices share: rows of a matrix would be brought to all of them.
        return segment_sum(p[:, None], xp.arange(n, device=device(p)) // size, -(-n // size))[:, 0]
    whole = n // size * size
    sums = xp.sum(xp.reshape(p[..., :whole], (*p.shape[:-1], -1, size)), axis=-1)
    if whole == n:
        return sums
    return xp.concat([sums, xp.sum(p[..., whole:], axis=-1, keepdims=True)], axis=-1)


def _block_size(n):
    return math.isqrt(n - 1) + 1


def invert(xp, p, draws):
    """The first index of positive ``p`` whose cumulated ``p`` exceeds ``draws`` times the total."""
    cumulated = xp.cumulative_sum(p, axis=-1)
    target = draws[..., None] * cumulated[..., -1:]
    places = xp.arange(p.shape[-1], device=device(p))
    # Where sums are kept as a tree (JAX), rounding may let them rise at an entry of 0.
    positive = p > 0
    first = xp.where((cumulated > target) & positive, places, xp.full_like(places, p.shape[-1]))
    # Nor must it carry the target past the last positive entry.
    last = xp.where(positive, places, xp.zeros_like(places))
    return xp.minimum(xp.min(first, axis=-1), xp.max(last, axis=-1))
