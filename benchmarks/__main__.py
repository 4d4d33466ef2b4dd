"""Command line: ``python -m benchmarks [SUITE ...]``."""

import argparse
import os
import time

from . import machine, plots, report
from .contenders import ALL, choose
from .data import QUICK
from .measure import Settings, compare
from .suites import SUITES


def main(argv: list[str] | None = None) -> dict:
    """Run the suites that are asked for, print their tables, and return the whole report."""
    options = _parse(argv)
    contenders = choose(options.contenders.split(","))
    result = {"machine": machine.facts(), "versions": machine.versions(), "suites": {}}
    result["settings"] = {"threads": options.threads, "quick": options.quick, "dtype": "float32"}
    print(" ".join(f"{key}={value}" for key, value in result["machine"].items()))
    if options.quick:
        print(f"quick: workloads are cut to {QUICK}, whatever their names say; times mean nothing")
    for name in options.suites:
        result["suites"][name] = _run_suite(name, contenders, options)
        if options.json:  # after each suite: a run that is stopped keeps what it has
            report.write(options.json, result)
    return result


def _run_suite(name: str, contenders: list, options: argparse.Namespace) -> dict:
    suite = SUITES[name]
    repeats = options.repeats or (2 if options.quick else suite.repeats)
    settings = Settings(options.threads, repeats, options.timeout)
    print(f"\n== {name}: {suite.title}")
    rows, skipped = [], []
    for workload, plan in suite.cases(options.quick):
        begin, load = time.time(), os.getloadavg()[0]
        try:
            found, absent = compare(workload, plan, contenders, settings)
        except LookupError as error:
            found, absent = [], [{"contender": "all", "reason": str(error)}]
        rows += found
        skipped += [{"workload": workload.name, **item} for item in absent]
        title = f"{workload.name} (took {time.time() - begin:.0f} s, load before {load:.2f})"
        print(report.table(title, found))
        print(report.left_out(absent))
    print(report.summary(rows))
    if name == "scaling" and options.plots:
        plots.draw(rows, options.plots)
    return {"repeats": repeats, "rows": rows, "skipped": skipped}


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(SUITES)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {known}; default: all")
    parser.add_argument(
        "--contenders",
        default=",".join(ALL),
        metavar="A,B",
        help="names or their beginnings; known: " + ", ".join(ALL),
    )
    parser.add_argument("--repeats", type=int, help="interleaved repeats; default: by suite")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for every contender")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    parser.add_argument("--quick", action="store_true", help="try the harness on tiny data")
    parser.add_argument("--json", metavar="OUT", help="write all figures here")
    parser.add_argument("--plots", metavar="DIR", help="write the curves of the scaling suite here")
    options = parser.parse_args(argv)
    options.suites = options.suites or list(SUITES)
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"SUITE: unknown {', '.join(sorted(unknown))}; known: {known}")
    return options


if __name__ == "__main__":
    main()
