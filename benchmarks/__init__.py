"""Speed, memory and correctness of kmeans_fx beside its peers: ``python -m benchmarks``.

A run is a set of *suites*. A suite is a list of *workloads* (data, ``k`` and a start) and a *plan*
(what is timed). Every *contender* works in a process of its own, and the parent asks them in turn,
so that each repeat meets the same machine: A B C, A B C, ... ``docs/performance.md`` says how the
figures are made and how to read them.
"""
