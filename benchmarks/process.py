"""The parent's handle on a worker: start, ask, stop."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time

# One setting for every threading layer that a contender may bring.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # XLA's pool on the CPU
)
SETTLE = 0.25  # seconds: idle threads of OpenMP spin up to 0.2 s after their work


class WorkerError(RuntimeError):
    """A contender failed, ran out of time, or ended."""


class Worker:
    """A contender in a process of its own, held to ``threads`` threads and as many cores."""

    def __init__(self, threads: int, timeout: float):
        self.timeout = timeout
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)),
            text=True,
        )
        _pin(self._process.pid, threads)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def ask(self, verb: str, **arguments) -> dict:
        """Send one request and wait for its answer."""
        try:
            print(json.dumps({"do": verb, **arguments}), file=self._process.stdin, flush=True)
            ready = self._selector.select(self.timeout)
            line = self._process.stdout.readline() if ready else None
        except OSError:
            line = ""
        if line is None:
            self.stop()
            raise WorkerError(f"no answer in {self.timeout:.0f} s")
        if not line:
            raise WorkerError(f"the process ended ({self._process.wait()}): {self._last_words()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def run(self, task: str, options: dict) -> dict:
        """Time one task while nothing else of this harness works."""
        time.sleep(SETTLE)
        return self.ask("run", task=task, options=options)

    def stop(self) -> None:
        """End the process and let go of what it held."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._selector.close()
        self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-300:].strip().replace("\n", " | ")


def _pin(process: int, threads: int) -> None:
    """Hold a process to as many cores, before it has loaded anything that counts them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, sorted(os.sched_getaffinity(0))[:threads])
