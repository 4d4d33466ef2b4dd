"""How many clusters: criteria over a range of k, and what each of them says."""

from kmeans_fx.select.choosing import Choice, choose_k
from kmeans_fx.select.sweeping import Sweep, sweep

__all__ = ["Choice", "Sweep", "choose_k", "sweep"]
