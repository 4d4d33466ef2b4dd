"""k-means on a GPU: this library and those that are installed, against what the GPU can do.

``python -m benchmarks gpu``. Each contender has a process of its own, which makes the rows on
the GPU from a seed; when its share of the time is over it is stopped, and what it has stays.
"""
