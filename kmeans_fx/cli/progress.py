"""Bars on stderr while long work goes on; where stderr is no terminal, nothing."""

from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress():
    """Yield ``step(what, total)``, which begins a new bar and returns how to move it.

    ``move(done, what, total)`` says how much is done, on what the work is, and of how much, if
    that was not known at first: without a total the bar only shows that the work goes on.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:

        def step(what, total=None):
            for task in bars.task_ids:
                bars.remove_task(task)
            task = bars.add_task(what, total=total)

            def move(done, what=None, total=None):
                bars.update(task, completed=done, description=what, total=total)

            return move

        yield step


def starts(move, n_init):
    """A callback of `kmeans_fx.kmeans` that moves a bar from start to start."""
    begun = 0

    def show(state):
        nonlocal begun
        # The starts run one after the other, each from iteration 1.
        iteration = int(state.n_iter)
        begun += iteration == 1
        what = f"Start {begun} of {n_init}, iteration {iteration}"
        move(begun - 1, f"{what}: {float(state.changed):.1%} of the rows moved")

    return show
