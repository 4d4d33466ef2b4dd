"""Preparing rows: scaling, imputing and projecting, with what undoes them."""

from kmeans_fx.preprocess.imputing import ImputeParams, apply_impute, impute
from kmeans_fx.preprocess.params import ScaleParams, apply_scale, invert_scale
from kmeans_fx.preprocess.projecting import PCAParams, apply_pca, invert_pca, pca
from kmeans_fx.preprocess.scaling import minmax_scale, normalize, robust_scale, standardize
from kmeans_fx.preprocess.whitening import WhitenParams, apply_whiten, invert_whiten, whiten

__all__ = [
    "ImputeParams",
    "PCAParams",
    "ScaleParams",
    "WhitenParams",
    "apply_impute",
    "apply_pca",
    "apply_scale",
    "apply_whiten",
    "impute",
    "invert_pca",
    "invert_scale",
    "invert_whiten",
    "minmax_scale",
    "normalize",
    "pca",
    "robust_scale",
    "standardize",
    "whiten",
]
