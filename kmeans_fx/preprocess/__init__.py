"""Preparing rows: scaling, imputing and projecting, with what undoes them."""

from kmeans_fx.preprocess.params import ScaleParams, apply_scale, invert_scale
from kmeans_fx.preprocess.scaling import minmax_scale, normalize, robust_scale, standardize

__all__ = [
    "ScaleParams",
    "apply_scale",
    "invert_scale",
    "minmax_scale",
    "normalize",
    "robust_scale",
    "standardize",
]
