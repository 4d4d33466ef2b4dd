"""Scores of clusterings: against the rows (internal) and against other labels (external)."""

from kmeans_fx.metrics.contingency import contingency_matrix, pair_confusion_matrix
from kmeans_fx.metrics.homogeneity import (
    completeness_score,
    homogeneity_completeness_v_measure,
    homogeneity_score,
    v_measure_score,
)
from kmeans_fx.metrics.information import (
    adjusted_mutual_info_score,
    mutual_info_score,
    normalized_mutual_info_score,
)
from kmeans_fx.metrics.internal import (
    ClusterTable,
    calinski_harabasz_score,
    cluster_table,
    davies_bouldin_score,
    inertia,
)
from kmeans_fx.metrics.matching import Matching, match_labels
from kmeans_fx.metrics.pairs import adjusted_rand_score, fowlkes_mallows_score, rand_score
from kmeans_fx.metrics.silhouette import (
    silhouette_samples,
    silhouette_score,
    simplified_silhouette_score,
)
from kmeans_fx.metrics.soft import soft_inertia, soft_silhouette_score

__all__ = [
    "ClusterTable",
    "Matching",
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "calinski_harabasz_score",
    "cluster_table",
    "completeness_score",
    "contingency_matrix",
    "davies_bouldin_score",
    "fowlkes_mallows_score",
    "homogeneity_completeness_v_measure",
    "homogeneity_score",
    "inertia",
    "match_labels",
    "mutual_info_score",
    "normalized_mutual_info_score",
    "pair_confusion_matrix",
    "rand_score",
    "silhouette_samples",
    "silhouette_score",
    "simplified_silhouette_score",
    "soft_inertia",
    "soft_silhouette_score",
    "v_measure_score",
]
