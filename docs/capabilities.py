"""A plugin of pytest that writes docs/capabilities.md: ``python -m nox -s transforms``.

The page is the table in the code, and is written if a test of every cell passed in that run.
tests/test_capabilities.py compares it with the table.
"""

from pathlib import Path

import pytest

from kmeans_fx._backend.capabilities import ROWS, TRANSFORMS

PAGE = Path(__file__).with_suffix(".md")
TITLES = {"jax": "JAX", "torch": "PyTorch"}

INTRODUCTION = """\
# What works where

Every function runs on NumPy, array-api-strict, JAX and PyTorch. The tables say under which
transformations; there is no option to set. Every yes is tested against NumPy's values and finite
differences, every no is tested to be one.

A derivative is one in `x` and `weights` of floating-point results. Labels, counts of iterations
and statuses are integers and have none, and the `history` of a fit carries none. How the derivative
of a fit is made is on the page about [gradients](gradients.md).
"""

CLOSING = """\
`compile` is `torch.compile(..., fullgraph=True)`. The nesting `vmap(compile(f))` is refused by
PyTorch itself: compile last.
"""


def page():
    """The text of docs/capabilities.md."""
    return "\n".join([INTRODUCTION, *map(_section, TITLES), CLOSING])


def _section(backend):
    transforms = TRANSFORMS[backend][1:]
    reasons = []
    lines = [
        f"## {TITLES[backend]}\n",
        _line("call", *(f"`{name}`" for name in transforms)),
        _line(*["---"] * (len(transforms) + 1)),
    ]
    for row in ROWS:
        cells = (_cell(row.no.get((backend, name)), reasons) for name in transforms)
        lines.append(_line(f"`{row.call}`", *cells))
    notes = (f"{number}. {reason}." for number, reason in enumerate(reasons, start=1))
    return "\n".join([*lines, "", "No, because:\n", *notes, ""])


def _cell(no, reasons):
    if no is None:
        return "yes"
    if no.reason not in reasons:
        reasons.append(no.reason)
    return f"{'no' if no.raises else 'zero'} ({reasons.index(no.reason) + 1})"


def _line(*cells):
    return f"| {' | '.join(cells)} |"


def cells():
    """Every (backend, call, transform), those that are a no included."""
    return {
        (backend, row.call, name)
        for backend, transforms in TRANSFORMS.items()
        for name in transforms
        for row in ROWS
    }


def pytest_configure(config):
    config.tested_cells = set()
    config.pluginmanager.register(_Recorder(config))


def pytest_collection_modifyitems(items):
    """A test of a row says which cell it is of; its report carries that to the main process."""
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params
        if params and {"row", "variant"} <= set(params):
            backend, transform = params["variant"].partition(":")[0], params.get("transform")
            item.user_properties.append(("cell", (backend, params["row"], transform or "call")))


class _Recorder:
    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            found = (tuple(value) for name, value in report.user_properties if name == "cell")
            self.config.tested_cells.update(found)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return
    if cells() <= session.config.tested_cells:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for cell in sorted(cells() - config.tested_cells):
        terminalreporter.write_line(f"not tested, so {PAGE.name} is not written: {cell}")
