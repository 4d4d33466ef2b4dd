"""Pictures with matplotlib (extra ``plot``), which is imported when the first is drawn."""

from kmeans_fx.plot.clusters import clusters, silhouette
from kmeans_fx.plot.curves import criteria, elbow, gap, inertia_trace
from kmeans_fx.plot.pictures import before_after, palette
from kmeans_fx.plot.tables import profile, stability

__all__ = [
    "before_after",
    "clusters",
    "criteria",
    "elbow",
    "gap",
    "inertia_trace",
    "palette",
    "profile",
    "silhouette",
    "stability",
]
