"""Write docs/capabilities.md from the table in the code: ``python -m docs.capabilities``.

tests/test_capabilities.py compares the page with what this writes.
"""

from pathlib import Path

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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
