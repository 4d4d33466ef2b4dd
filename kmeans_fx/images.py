"""Colour quantization: an image in the k colours that k-means finds."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer, check_k
from kmeans_fx._backend.dither import dithered_labels
from kmeans_fx._backend.half import widened
from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.random import as_key, permutation, split
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.assign import assign

__all__ = ["QuantizedImage", "quantize_image"]


class QuantizedImage(NamedTuple):
    """An image in few colours.

    Attributes
    ----------
    image : array of the shape and dtype of the image
        Every pixel in its colour of the palette.
    palette : array (k, c)
        The colours, in the dtype of the image; c is 1 or 3, without alpha.
    labels : integer array (h, w)
        The colour of every pixel: ``image = palette[labels]``.
    psnr : array ()
        Peak signal-to-noise ratio in decibels; infinite where nothing was lost.
    bytes_before : integer array ()
        ``h * w`` times the channels: 8 bits a channel, not compressed.
    bytes_after : integer array ()
        An indexed image, not compressed either: labels of as few bits as k colours need,
        and the palette in 8 bits a channel.
    """

    image: Any
    palette: Any
    labels: Any
    psnr: Any
    bytes_before: Any
    bytes_after: Any


class _Pixels(NamedTuple):
    """What is clustered: colours (n, c) and alpha (n,) or None, in real numbers up to peak."""

    colours: Any
    alpha: Any
    peak: float


def quantize_image(image, k, /, *, key, sample_size=50_000, n_init=1, max_iter=100, dither=False):
    """Paint an image in k colours, found by k-means.

    Parameters
    ----------
    image : uint8 or real array (h, w) or (h, w, channels)
        Grey, or 1 (grey), 3 (colour) or 4 (colour and alpha) channels; uint8 from 0 to
        255 or real numbers from 0 to 1.
    k : int
        Number of colours, from 1 to the number of pixels that the palette is fit on.
    key : int, array (2,) or generator
        See `kmeans`.
    sample_size : int or None, default 50000
        Pixels, drawn without replacement, on which the palette is fit if the image has
        more; None fits on all.
    n_init, max_iter : int
        As for `kmeans`.
    dither : bool, default False
        Floyd-Steinberg error diffusion: bands become a fine grain, the local mean comes
        closer and the PSNR falls. Done by Pillow (extra ``images``) on the host in 8
        bits, for up to 256 colours.

    Returns
    -------
    QuantizedImage

    Raises
    ------
    TypeError
        If the image is no array or of another dtype.
    ValueError
        If its shape is another, ``k``, ``sample_size`` or ``key`` does not fit, or ``dither``
        is asked for under a trace or for over 256 colours; in an eager call also if real
        numbers are not from 0 to 1, or no pixel that the palette is fit on is visible.
    ImportError
        If ``dither`` is asked for and Pillow is not there.

    Notes
    -----
    Distances are those of the channels as they come (sRGB as a rule): the choice that
    gives the best PSNR for a palette. The palette of a uint8 image is rounded first, so
    that labels and PSNR are those of the colours that are returned.

    Alpha is kept as it is. A pixel weighs as much as it is opaque, in the palette and in
    the PSNR; the alpha channel counts 8 bits a pixel before and after.

    References
    ----------
    .. [1] M. E. Celebi, "Improving the performance of k-means for color quantization",
       Image and Vision Computing 29(4), 2011.
    .. [2] R. W. Floyd, L. Steinberg, "An adaptive algorithm for spatial greyscale",
       Proceedings of the Society for Information Display 17(2), 1976.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.images import quantize_image
    >>> image = np.array([[[250, 0, 0], [254, 0, 0]], [[0, 0, 90], [0, 0, 90]]], dtype=np.uint8)
    >>> quantize_image(image, 2, key=0).image[..., 0]
    array([[252, 252],
           [  0,   0]], dtype=uint8)
    """
    xp, pixels = _check(image, k, dither)
    draw, start = _keys(xp, image, key)
    rows, weights = _sample(xp, pixels, sample_size, draw)
    fit = kmeans(
        rows, check_k(k, rows), key=start, n_init=n_init, max_iter=max_iter, weights=weights
    )
    palette = _in_dtype(xp, fit.centroids, image, pixels.peak)
    centroids = xp.astype(palette, pixels.colours.dtype)
    if dither:
        labels = dithered_labels(image, palette, pixels.peak)
    else:
        labels = assign(pixels.colours, centroids).labels
    return _painted(xp, image, pixels, palette, centroids, labels)


def _painted(xp, image, pixels, palette, centroids, labels):
    """The result, from the labels (n,)."""
    errors = pixels.colours - take_rows(xp, centroids, labels)
    k, channels = palette.shape
    height, width = image.shape[:2]
    colours = xp.reshape(take_rows(xp, palette, labels), (height, width, channels))
    alpha = 0 if pixels.alpha is None else 1
    if alpha:
        colours = xp.concat([colours, image[..., 3:]], axis=-1)
    before = height * width * (channels + alpha)
    after = -(-height * width * max(1, (k - 1).bit_length()) // 8) + channels * k
    counts = {"dtype": index_dtype(xp, image), "device": device(image)}
    return QuantizedImage(
        xp.reshape(colours, image.shape),
        palette,
        xp.reshape(labels, (height, width)),
        _psnr(xp, errors, pixels),
        xp.asarray(before, **counts),
        xp.asarray(after + alpha * height * width, **counts),
    )


def _psnr(xp, errors, pixels):
    """10 log10(peak^2 / mean squared error), over the visible pixels."""
    squares = xp.mean(errors**2, axis=-1)
    if pixels.alpha is None:
        mean = xp.mean(squares)
    else:
        mean = xp.sum(squares * pixels.alpha) / xp.sum(pixels.alpha)
    lost = mean > 0
    safe = xp.where(lost, mean, xp.ones_like(mean))
    return xp.where(lost, 10 * xp.log10(pixels.peak**2 / safe), xp.full_like(mean, xp.inf))


def _sample(xp, pixels, size, key):
    """The colours that the palette is fit on, and their weights."""
    colours, alpha = pixels.colours, pixels.alpha
    size = None if size is None else check_integer("sample_size", size, 1)
    if size is not None and size < colours.shape[0]:
        rows = permutation(key, colours.shape[0])[:size]
        colours = xp.take(colours, rows, axis=0)
        alpha = None if alpha is None else xp.take(alpha, rows, axis=0)
    if alpha is not None and is_concrete(alpha) and not bool(xp.any(alpha > 0)):
        msg = f"image must have a visible pixel among the {alpha.shape[0]} that the palette is of"
        raise ValueError(msg)
    return colours, alpha


def _keys(xp, image, key):
    """One key to draw pixels, one to start."""
    pair = split(as_key(key, xp, device(image)))
    if pair.ndim > 2:
        msg = f"key must be an integer array of shape (2,), got {tuple(pair.shape[:-2])} keys"
        raise ValueError(msg)
    return pair[0, :], pair[1, :]


def _in_dtype(xp, palette, image, peak):
    """The palette in the dtype of the image: rounded, if that is uint8."""
    if peak == 1:
        return xp.astype(palette, image.dtype, copy=False)
    return xp.astype(xp.clip(xp.round(palette), 0, 255), image.dtype)


def _check(image, k, dither):
    """The namespace and the pixels of a valid image."""
    xp = array_namespace(image=image)
    shape = tuple(image.shape)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))) or 0 in shape:
        msg = (
            "image must have shape (h, w) or (h, w, channels) with 1 (grey), 3 (colour) or 4 "
            f"(colour and alpha) channels, and no side of 0; got {shape}"
        )
        raise ValueError(msg)
    if dither and not is_concrete(image):
        msg = "dither must be False under a trace: it is done on the host"
        raise ValueError(msg)
    if dither and check_integer("k", k, 1) > 256:
        msg = f"k must be at most 256 with dither=True, got {k}"
        raise ValueError(msg)
    peak, values = _as_real(xp, image)
    flat = xp.reshape(values, (shape[0] * shape[1], -1))
    if flat.shape[-1] == 4:
        return xp, _Pixels(flat[:, :3], flat[:, 3] / peak, peak)
    return xp, _Pixels(flat, None, peak)


def _as_real(xp, image):
    """The greatest value, and the image in real numbers."""
    if image.dtype == xp.uint8:
        info = xp.__array_namespace_info__()
        real = info.default_dtypes(device=device(image))["real floating"]
        return 255.0, xp.astype(image, real)
    if xp.isdtype(image.dtype, ("integral", "bool", "complex floating")):
        msg = f"image must be uint8, or real numbers from 0 to 1, got {image.dtype}"
        raise TypeError(msg)
    values = widened(image)
    if is_concrete(values):
        low, high = float(xp.min(values)), float(xp.max(values))
        if not (low >= 0 and high <= 1):
            msg = f"image must hold real numbers from 0 to 1, got {low:g} to {high:g}"
            raise ValueError(msg)
    return 1.0, values
