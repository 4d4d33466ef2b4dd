"""The process of one contender: a line of JSON for every workload, as soon as it is measured.

``python -m benchmarks.gpu.worker NAME DEVICE QUICK``
"""

import json
import sys
import warnings

from .tasks import TASKS, workloads_of


def main(name, device, quick):
    """Measure one contender on all workloads that it has a function for."""
    warnings.simplefilter("ignore")
    for workload in workloads_of(name):
        line = {"workload": workload.name}
        measure, functions = TASKS[workload.task]
        run, _ = functions[name]
        try:
            size = workload.small() if quick else workload
            line |= measure(run, *size.make(device), device)
        except Exception as error:  # noqa: BLE001, the table says who could not, and why
            line["reason"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "quick")
