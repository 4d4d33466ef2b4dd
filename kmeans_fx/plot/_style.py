"""What all pictures share: the Axes, the values as NumPy has them, colours and markers."""

from kmeans_fx._backend.values import numpy_values

__all__ = [
    "ACCENT",
    "GREY",
    "cluster_colours",
    "cluster_markers",
    "integers",
    "new_axes",
    "panels",
    "reals",
    "values",
]

# The colours of M. Okabe and K. Ito, which all kinds of colour vision tell apart, with the
# pale ones last.
_FEW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
    "#F0E442",
)
_MARKERS = "os^DvPX"
ACCENT, GREY = _FEW[3], "#767676"
WIDTH = 8.0  # inches: 800 pixels at matplotlib's 100 dots an inch


def pyplot():
    """matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not there.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        msg = "kmeans_fx.plot needs matplotlib: pip install 'kmeans-fx[plot]'"
        raise ImportError(msg) from error
    return plt


def new_axes(ax, height=4.5):
    """The caller's Axes, or one in a new figure."""
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=(WIDTH, height), layout="constrained")[1]


def panels(axes, count, height=3.2):
    """The caller's Axes, ``count`` of them, or a row of new ones; as an array.

    Raises
    ------
    ValueError
        If the caller gave another number.
    """
    import numpy as np

    if axes is None:
        size, row = (WIDTH, height), {"layout": "constrained", "squeeze": False}
        return pyplot().subplots(1, count, figsize=size, **row)[1][0]
    axes = np.ravel(np.asarray(axes, dtype=object))
    if len(axes) != count:
        msg = f"axes must be {count} Axes, got {len(axes)}"
        raise ValueError(msg)
    return axes


def values(array, name, *ndims):
    """NumPy values of an array, a list or a number, with one of the numbers of dimensions.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    found = numpy_values(array, name)
    if found.ndim not in ndims or 0 in found.shape:
        wanted = " or ".join(map(str, ndims))
        msg = f"{name} must have {wanted} dimensions and no side of 0, got shape {found.shape}"
        raise ValueError(msg)
    return found


def reals(array, name, *ndims):
    """Values as float64."""
    return _cast(values(array, name, *ndims), "float64", name, "real numbers")


def integers(array, name, *ndims):
    """Values as int64.

    Raises
    ------
    TypeError
        If they are of another kind.
    """
    found = values(array, name, *ndims)
    if found.dtype.kind not in "iu":
        msg = f"{name} must have an integer dtype, got {found.dtype}"
        raise TypeError(msg)
    return found.astype("int64")


def _cast(found, dtype, name, what):
    try:
        return found.astype(dtype)
    except (TypeError, ValueError) as error:
        msg = f"{name} must hold {what}, got {found.dtype}"
        raise TypeError(msg) from error


def cluster_colours(k):
    """``k`` colours for all kinds of colour vision.

    No more than eight hues can be told apart: beyond these, light and dark alternate along
    one map of rising lightness, and `cluster_markers` and numbers have to help.
    """
    if k <= len(_FEW):
        return list(_FEW[:k])
    import numpy as np
    from matplotlib import colormaps

    places = np.linspace(0.0, 0.95, k)
    half = -(-k // 2)
    order = [i // 2 + half * (i % 2) for i in range(k)]
    return [tuple(colour) for colour in colormaps["viridis"](places[order])]


def cluster_markers(k):
    """``k`` markers: all circles where colours are enough."""
    return ["o"] * k if k <= len(_FEW) else [_MARKERS[i % len(_MARKERS)] for i in range(k)]
