"""Error diffusion, which goes pixel by pixel: Pillow does it on the host."""

from kmeans_fx._backend.namespace import array_namespace, device, index_dtype
from kmeans_fx._backend.values import numpy_values

__all__ = ["dithered_labels"]


def dithered_labels(image, palette, peak):
    """Labels (n,) of the pixels by Floyd and Steinberg's error diffusion.

    Raises
    ------
    ImportError
        If Pillow is not there.
    """
    try:
        from PIL import Image
    except ImportError as error:
        msg = "dither=True needs Pillow: pip install 'kmeans-fx[images]'"
        raise ImportError(msg) from error
    import numpy as np

    k = palette.shape[0]
    colours = Image.new("P", (1, 1))
    # All 256 places are filled: an empty one is black, and would be used.
    table = _eight_bits(palette[None, ...], peak)[0]
    colours.putpalette(np.concatenate([table, np.repeat(table[-1:], 256 - k, axis=0)]).tobytes())
    picture = Image.fromarray(_eight_bits(image, peak))
    found = picture.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
    labels = np.minimum(np.asarray(found, dtype=np.int64).reshape(-1), k - 1)
    xp = array_namespace(image=image)
    return xp.asarray(labels, dtype=index_dtype(xp, image), device=device(image))


def _eight_bits(image, peak):
    """NumPy's uint8 (h, w, 3) of an image, without alpha."""
    import numpy as np

    values = numpy_values(image)
    values = values[..., :3] if values.ndim == 3 else values[..., None]
    bits = np.round(values.astype(np.float64) * (255 / peak)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bits, (*bits.shape[:2], 3)))
