"""Can the clusters be trusted: other starts, other samples, noise, and without the outliers."""

from kmeans_fx.stability.outliers import OutlierInfluence, outlier_influence
from kmeans_fx.stability.resampling import Stability, bootstrap_stability, noise_stability
from kmeans_fx.stability.restarts import (
    InertiaTrace,
    RestartAgreement,
    inertia_trace,
    restart_agreement,
)

__all__ = [
    "InertiaTrace",
    "OutlierInfluence",
    "RestartAgreement",
    "Stability",
    "bootstrap_stability",
    "inertia_trace",
    "noise_stability",
    "outlier_influence",
    "restart_agreement",
]
