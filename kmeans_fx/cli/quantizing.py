"""An image in few colours, as a PNG with a palette."""

import numpy as np

from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.images import quantize_image


def pixels_of(source, path):
    """The pixels (h, w, 3) of a source that is an image."""
    if source.kind != "image":
        msg = f"{path} is no image; expected .png, .jpg or .jpeg"
        raise BadInputError(msg)
    pixels = np.column_stack(list(source.columns.values())).astype(np.uint8)
    return pixels.reshape(*source.shape, 3)


def quantize_pixels(pixels, k, *, sample, **options):
    """The pixels in k colours; ``sample`` 0 fits the palette on all of them."""
    try:
        return quantize_image(pixels, k, sample_size=sample or None, **options)
    except ValueError as error:
        raise BadInputError(str(error)) from error


def save_palette(path, labels, palette):
    """Write a PNG of 1, 2, 4 or 8 bits a pixel and a palette of up to 256 colours."""
    from PIL import Image

    image = Image.fromarray(np.asarray(labels).astype(np.uint8))
    image.putpalette(np.asarray(palette).astype(np.uint8).tobytes())
    image.save(path, format="PNG", optimize=True)
