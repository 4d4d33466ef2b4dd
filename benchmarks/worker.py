"""The child process: one contender on one workload, doing what the parent asks, a line at a time.

Each line in is ``{"do": verb, ...}`` and each line out is the answer, both JSON.
"""

import importlib
import json
import os
import sys
import time
import traceback
import warnings

import numpy as np

from . import memory
from .contenders import ALL

FEW = 1 << 19  # numbers


class Session:
    """One contender with its data loaded. Each public method is a verb of the protocol."""

    def setup(self, contender, x, start, mapped=False):
        """Import the library and load the data."""
        self.contender = ALL[contender]()
        for module in self.contender.imports:
            importlib.import_module(module)
        self.x, self.start = np.load(x, mmap_mode="r" if mapped else None), np.load(start)
        if self.x.dtype.name not in self.contender.dtypes:  # half precision; see `Contender`
            self.x, self.start = self.x.astype(np.float32), self.start.astype(np.float32)
        self.mapped = mapped
        self.contender.setup(self.x, self.start)
        return {}

    def run(self, task, options):
        """Time one task. The result is kept for `save`, and its arrays are not converted here."""
        self.last = None
        begin = time.perf_counter()
        self.last = getattr(self.contender, task)(**options)
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "n_iter": self._iterations()}

    def weigh(self, task, options):
        """Tell the peaks of memory beyond the data of a first and of a second run.

        A run on a few rows comes before, so that the code of the library, its threads and its
        compiler are in the baseline, and what is left is what the size of the data costs. The
        second peak is free of compilation, and has what the first run kept. None: cannot be told.
        The rows are not so few that a library would take another way.
        """
        few = max(FEW // self.x.shape[-1], self.start.shape[-2]) if self.x.ndim == 2 else 1
        self.contender.setup(self.x[:few], self.start if self.x.ndim == 2 else self.start[:few])
        self.run(task, options)
        self.contender.setup(self.x, self.start)
        self.last = None
        baseline = memory.anonymous() if self.mapped else memory.resident()
        return {run: self._peak(task, options, baseline) for run in ("first", "second")}

    def save(self, path):
        """Write what the last run is judged by, its centroids or its score, as float64."""
        np.save(path, np.asarray(self.last[0], dtype=np.float64))
        return {}

    def _peak(self, task, options, baseline):
        self.last = None
        memory.resident()  # what the run before let go of is given back
        if self.mapped:
            with memory.AnonymousPeak() as seen:
                self.run(task, options)
            return seen.peak - baseline
        if not memory.reset_peak():
            return None
        self.run(task, options)
        return memory.peak() - baseline

    def _iterations(self):
        """Return how many iterations the last run made, the most over a batch."""
        n_iter = self.last.n_iter
        return None if n_iter is None else int(np.max(np.asarray(n_iter)))


def main():
    """Answer lines until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    warnings.simplefilter("ignore")
    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(session, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001, the parent decides what it means
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
