"""k-means as pure functions on the Python Array API standard."""

from importlib.metadata import PackageNotFoundError, version

from kmeans_fx import images, metrics, plot, preprocess, select, stability
from kmeans_fx._result import KMeansResult
from kmeans_fx.algorithms.balanced import balanced_kmeans
from kmeans_fx.algorithms.bisecting import BisectingResult, bisecting_kmeans
from kmeans_fx.algorithms.blocks import kmeans_blocks
from kmeans_fx.algorithms.density import (
    mixture_aic,
    mixture_bic,
    mixture_log_prob,
    mixture_responsibilities,
)
from kmeans_fx.algorithms.fuzzy import FuzzyResult, fuzzy_assign, fuzzy_cmeans
from kmeans_fx.algorithms.kmeans import kmeans
from kmeans_fx.algorithms.lloyd import LloydState, lloyd, lloyd_init, lloyd_step
from kmeans_fx.algorithms.masked import masked_assign, masked_kmeans
from kmeans_fx.algorithms.minibatch import (
    MiniBatchResult,
    MiniBatchState,
    minibatch_init,
    minibatch_kmeans,
    minibatch_step,
)
from kmeans_fx.algorithms.mixture import (
    MixtureResult,
    MixtureState,
    gaussian_mixture,
    mixture_init,
    mixture_step,
)
from kmeans_fx.algorithms.one_dimensional import kmeans_1d
from kmeans_fx.algorithms.soft import SoftKMeansResult, soft_kmeans
from kmeans_fx.algorithms.streaming import StreamState, stream_init, stream_step
from kmeans_fx.algorithms.trimmed import TrimmedResult, trimmed_kmeans
from kmeans_fx.algorithms.two_level import two_level_kmeans
from kmeans_fx.assign import Assignment, assign, soft_assign
from kmeans_fx.converge import (
    CONVERGED,
    MAX_ITER,
    NONFINITE,
    RUNNING,
    STOPPED,
    Progress,
    all_of,
    any_of,
    centroid_shift,
    describe,
    has_converged,
    inertia_change,
    label_change,
)
from kmeans_fx.distances import Metric, pairwise_distances
from kmeans_fx.init import (
    farthest_first,
    kmeans_coreset,
    kmeans_parallel,
    kmeans_plusplus,
    random_partition,
    random_points,
)
from kmeans_fx.outliers import anomaly_scores, anomaly_threshold
from kmeans_fx.relaxed import gumbel_assign, straight_through_assign
from kmeans_fx.transport import BalancedAssignment, sinkhorn_assign
from kmeans_fx.update import ClusterStats, cluster_stats, merge_stats, update_centroids

try:
    __version__ = version("kmeans_fx")
except PackageNotFoundError:
    __version__ = "0+unknown"

__all__ = [
    "CONVERGED",
    "MAX_ITER",
    "NONFINITE",
    "RUNNING",
    "STOPPED",
    "Assignment",
    "BalancedAssignment",
    "BisectingResult",
    "ClusterStats",
    "FuzzyResult",
    "KMeansResult",
    "LloydState",
    "Metric",
    "MiniBatchResult",
    "MiniBatchState",
    "MixtureResult",
    "MixtureState",
    "Progress",
    "SoftKMeansResult",
    "StreamState",
    "TrimmedResult",
    "all_of",
    "anomaly_scores",
    "anomaly_threshold",
    "any_of",
    "assign",
    "balanced_kmeans",
    "bisecting_kmeans",
    "centroid_shift",
    "cluster_stats",
    "describe",
    "farthest_first",
    "fuzzy_assign",
    "fuzzy_cmeans",
    "gaussian_mixture",
    "gumbel_assign",
    "has_converged",
    "images",
    "inertia_change",
    "kmeans",
    "kmeans_1d",
    "kmeans_blocks",
    "kmeans_coreset",
    "kmeans_parallel",
    "kmeans_plusplus",
    "label_change",
    "lloyd",
    "lloyd_init",
    "lloyd_step",
    "masked_assign",
    "masked_kmeans",
    "merge_stats",
    "metrics",
    "minibatch_init",
    "minibatch_kmeans",
    "minibatch_step",
    "mixture_aic",
    "mixture_bic",
    "mixture_init",
    "mixture_log_prob",
    "mixture_responsibilities",
    "mixture_step",
    "pairwise_distances",
    "plot",
    "preprocess",
    "random_partition",
    "random_points",
    "select",
    "sinkhorn_assign",
    "soft_assign",
    "soft_kmeans",
    "stability",
    "straight_through_assign",
    "stream_init",
    "stream_step",
    "trimmed_kmeans",
    "two_level_kmeans",
    "update_centroids",
]
