"""Programs with derivatives: opaque where none is asked for, in the open elsewhere."""

from kmeans_fx._backend.fixed_point import call, program
from kmeans_fx._backend.namespace import array_namespace, device, is_numpy_namespace
from kmeans_fx._backend.transform import quiet, tracks_gradients

__all__ = ["differentiable_program"]


def differentiable_program(inputs, outputs):
    """Register ``function(*arrays, **options)`` as a program that has derivatives.

    Where one may be asked for it runs in the open, elsewhere as one opaque operation.
    """

    def register(function):
        launch = program(inputs, outputs)(function)

        def run(*arrays, portable=False, **options):
            if not portable and not tracks_gradients(*arrays):
                return launch(*arrays, **options)
            given = [array for array in arrays if array is not None]
            present = tuple(array is not None for array in arrays)
            xp = array_namespace(x=given[0])
            with quiet(xp):
                results = call(function.__name__, present, tuple(options.items()), given)
            place = device(given[0])
            return tuple(
                xp.asarray(r, device=place) if is_numpy_namespace(xp) else r for r in results
            )

        return run

    return register
