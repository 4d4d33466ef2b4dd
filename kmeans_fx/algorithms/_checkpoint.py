"""A fit on the disk: saved after every iteration, taken up where it was."""

from pathlib import Path

from kmeans_fx._backend.files import load_arrays, placed_as, save_arrays
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.converge import MAX_ITER, RUNNING, STOPPED

__all__ = ["load_state", "save_state"]

# What a file holds beside the fields of a state: which fit it is of.
_PREFIX = "fit_"


def save_state(path, state, fit):
    """Write a state; ``fit`` are numbers and strings by which to know the fit."""
    marks = {_PREFIX + name: value for name, value in fit.items()}
    save_arrays(path, **state._asdict(), **marks)


def load_state(path, state, fit):
    """The saved state of this fit, in the library and on the device of ``state``.

    None if there is no file. A fit that ended at ``max_iter`` or by the callback goes on.

    Raises
    ------
    ValueError
        If the file is of another fit.
    """
    if not Path(path).exists():
        return None
    saved = load_arrays(path)
    for name, value in fit.items():
        found = saved.get(_PREFIX + name)
        if found is None or found.item() != value:
            msg = f"checkpoint {str(path)!r} must be of this fit, of {name} {value!r}, got {found}"
            raise ValueError(msg)
    xp = array_namespace(x=state.centroids)
    fields = {
        name: placed_as(xp, saved[name], field)
        for name, field in state._asdict().items()
        if name not in ("labels", "history")
    }
    found = state._replace(**fields, history=_history(xp, saved["history"], state))
    if int(found.status) in (MAX_ITER, STOPPED):
        found = found._replace(status=xp.full_like(found.status, RUNNING))
    return found


def _history(xp, saved, state):
    """The inertia so far, in as many places as this call has."""
    size = min(saved.shape[0], state.history.shape[0])
    kept = placed_as(xp, saved[:size], state.history)
    return xp.concat([kept, state.history[size:]])
