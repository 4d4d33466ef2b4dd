"""Clustering on many devices and processes: an adapter for each engine, over `ClusterStats`.

Import the one that you use: `kmeans_fx.distributed.jax`, `kmeans_fx.distributed.torch`.
Nothing here imports an engine by itself.
"""
