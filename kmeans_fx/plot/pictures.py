"""Images: the colours of a palette, and the image before and after."""

from kmeans_fx.plot._style import new_axes, panels, reals, values

__all__ = ["before_after", "palette"]


def palette(colours, /, *, labels=None, ax=None):
    """The colours of a palette from dark to light, as wide as they are frequent.

    Parameters
    ----------
    colours : uint8 or real array (k, 1) or (k, 3)
        From 0 to 255 or from 0 to 1, as `kmeans_fx.images.quantize_image` gives them.
    labels : integer array, optional
        The colour of every pixel; all colours are of one width if None.
    ax : matplotlib.axes.Axes, optional
        A new one if None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If an array cannot be read or has another shape or other values.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import plot
    >>> colours = np.array([[255, 255, 255], [0, 0, 0]], dtype=np.uint8)
    >>> ax = plot.palette(colours, labels=np.array([[0, 0], [0, 1]]))
    >>> [round(bar.get_width(), 2) for bar in ax.patches]
    [0.25, 0.75]
    """
    import numpy as np

    rgb = _colours(colours)
    k = len(rgb)
    shares = np.full(k, 1 / k) if labels is None else _shares(labels, k)
    # Luminance of sRGB (Rec. 709), near enough to order by.
    order = np.argsort(rgb @ [0.2126, 0.7152, 0.0722])
    rgb, shares = rgb[order], shares[order]
    ax = new_axes(ax, height=1.4)
    starts = np.cumsum(shares) - shares
    ax.barh(np.zeros(k), shares, left=starts, height=1, color=rgb, edgecolor="none")
    ax.set(xlim=(0, 1), ylim=(-0.5, 0.5), yticks=[])
    _hex_codes(ax, rgb, starts + shares / 2, shares)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel("share of the pixels" if labels is not None else "share of the palette")
    ax.spines[:].set_visible(False)
    return ax


def before_after(before, after, /, *, titles=("before", "after"), axes=None):
    """Two images side by side.

    Parameters
    ----------
    before, after : uint8 or real array (h, w) or (h, w, channels)
        Grey, or 1 (grey), 3 or 4 channels; from 0 to 255 or from 0 to 1.
    titles : pair of str
    axes : pair of matplotlib.axes.Axes, optional
        New ones if None.

    Returns
    -------
    array of two matplotlib.axes.Axes
        Unlike most functions here, which return one.

    Raises
    ------
    TypeError, ValueError
        If an image cannot be read or has another shape, or ``axes`` or ``titles`` are not two.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import plot
    >>> left, right = plot.before_after(np.zeros((4, 6)), np.ones((4, 6)))
    >>> right.get_title()
    'after'
    """
    import numpy as np

    pictures = [_picture(before, "before"), _picture(after, "after")]
    if len(titles) != 2:
        msg = f"titles must be two, got {len(titles)}"
        raise ValueError(msg)
    height, width = pictures[0].shape[:2]
    # As high as the images are in half of the width, and a line for the titles.
    axes = panels(axes, 2, height=float(np.clip(4 * height / width, 1, 8)) + 0.3)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    return axes


def _colours(colours):
    """Rows of red, green and blue from 0 to 1."""
    import numpy as np

    found = values(colours, "colours", 2)
    if found.shape[1] not in (1, 3):
        msg = f"colours must have shape (k, 1) or (k, 3), got {found.shape}"
        raise ValueError(msg)
    return np.broadcast_to(_unit(found, "colours"), (len(found), 3))


def _picture(image, name):
    """An image from 0 to 1, without a single channel's axis."""
    found = values(image, name, 2, 3)
    if found.ndim == 3 and found.shape[2] not in (1, 3, 4):
        msg = f"{name} must have 1, 3 or 4 channels, got shape {found.shape}"
        raise ValueError(msg)
    found = _unit(found, name)
    return found[..., 0] if found.ndim == 3 and found.shape[2] == 1 else found


def _unit(found, name):
    if found.dtype == "uint8":
        return found / 255
    found = reals(found, name, found.ndim)
    if not (found.min() >= 0 and found.max() <= 1):
        msg = f"{name} must be uint8 or from 0 to 1, got {found.min():g} to {found.max():g}"
        raise ValueError(msg)
    return found


def _shares(labels, k):
    """The share of every label."""
    import numpy as np

    found = values(labels, "labels", 1, 2)
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= k:
        msg = f"labels must be integers from 0 to {k - 1}, got {found.dtype}"
        raise ValueError(msg)
    return np.bincount(found.ravel(), minlength=k) / found.size


def _hex_codes(ax, rgb, centres, shares):
    """The code of every colour that is wide enough for it."""
    from matplotlib.colors import to_hex

    for colour, centre, share in zip(rgb, centres, shares, strict=True):
        if share >= 0.08:
            text = "white" if colour @ [0.2126, 0.7152, 0.0722] < 0.5 else "black"
            ax.text(centre, 0, to_hex(colour), ha="center", va="center", color=text, fontsize=9)
