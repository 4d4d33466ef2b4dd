"""PyTorch: every claim of the capabilities table, against NumPy and finite differences."""

from functools import partial

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend.capabilities import TRANSFORMS
from kmeans_fx.init import INITS
from tests.cases import (
    CASES,
    claims,
    direction,
    expected,
    leaves,
    loss,
    problems,
    refusals,
)

pytestmark = [
    pytest.mark.backend("torch"),
    # PyTorch's own forward mode and compiler import modules that it deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning"),
    # array-api-compat's cumulative_sum asks for its namespace, through a cache.
    pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache"),
]

COMPILED = [name for name in TRANSFORMS["torch"] if name.startswith("compile")]
EAGER = [name for name in TRANSFORMS["torch"] if name not in ("call", *COMPILED)]
VALUES = ("vmap", "compile", "compile(vmap)")


@pytest.fixture
def torch(xp):
    import torch

    return torch


@pytest.fixture
def x(torch):
    return torch.asarray(problems())


def compiled(torch, function, backend="aot_eager"):
    """Traced whole. The graph is run as it is: making code of it takes 10 s and more."""
    return torch.compile(function, fullgraph=True, backend=backend)


def values(torch, row, transform, x):
    """The values of the first problem, or of all, with an axis of problems in front."""
    if transform == "vmap":
        return leaves(torch.vmap(CASES[row])(x))
    if transform == "compile(vmap)":
        return leaves(compiled(torch, torch.vmap(CASES[row]))(x))
    return [leaf[None] for leaf in leaves(compiled(torch, CASES[row])(x[0]))]


def derivative(torch, row, transform, x):
    """What the transform makes of the row's loss: of the first problem, or of all."""
    scalar, func = loss(CASES[row]), torch.func
    run = {
        "func.grad": lambda: func.grad(scalar)(x[0]),
        "backward": lambda: backward(scalar, x[0]),
        "jvp": lambda: func.jvp(scalar, (x[0],), (torch.asarray(direction()),))[1],
        "hessian": lambda: func.hessian(scalar)(x[0]),
        "compile(grad)": lambda: compiled(torch, func.grad(scalar))(x[0]),
        "compile(vmap(grad))": lambda: compiled(torch, torch.vmap(func.grad(scalar)))(x),
        "compile, backward": lambda: backward(compiled(torch, scalar), x[0]),
    }
    return run[transform]()


def backward(scalar, x):
    x = x.clone().requires_grad_()
    scalar(x).backward()
    return x.grad


def check_values(torch, row, transform, x):
    found = values(torch, row, transform, x)
    for ours, theirs in zip(found, expected(row)[0], strict=True):
        np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=1e-9, atol=1e-9)


def check_derivative(torch, row, transform, x):
    _, slopes, curvature = expected(row)
    found, v = derivative(torch, row, transform, x).numpy(), direction()
    if transform == "hessian":
        along = np.einsum("ij,ijkl,kl", v, found, v)
        np.testing.assert_allclose(along, curvature, rtol=1e-4, atol=1e-3)
        return
    along = found if transform == "jvp" else np.sum(found * v, axis=(-2, -1))
    np.testing.assert_allclose(along, slopes if along.ndim else slopes[0], rtol=1e-6, atol=1e-4)


def check(torch, row, transform, x):
    (check_values if transform in VALUES else check_derivative)(torch, row, transform, x)


@pytest.mark.parametrize(("row", "transform"), claims("torch", EAGER))
def test_eager(torch, x, row, transform):
    check(torch, row, transform, x)


@pytest.mark.compile
@pytest.mark.parametrize(("row", "transform"), claims("torch", COMPILED))
def test_compiled(torch, x, row, transform):
    check(torch, row, transform, x)


@pytest.mark.compile
@pytest.mark.parametrize(("row", "transform"), refusals("torch", raises=False))
def test_no_derivative(torch, x, row, transform):
    assert not derivative(torch, row, transform, x).any()


@pytest.mark.compile
@pytest.mark.parametrize(("row", "transform"), refusals("torch", raises=True))
def test_refused(torch, x, row, transform):
    run = values if transform in VALUES else derivative
    # torch.compile wraps what it meets in errors of its own, of many classes.
    with pytest.raises(Exception):  # noqa: B017, PT011
        run(torch, row, transform, x)


def test_the_callback_says_what_it_needs(torch, x):
    with pytest.raises(ValueError, match="callback needs an eager call"):
        values(torch, "kmeans, callback", "vmap", x)


@pytest.mark.compile
@pytest.mark.parametrize("transform", ["compile", "compile, backward"])
def test_inductor(torch, x, transform):
    """The default compiler, which makes code of the graph."""
    scalar = torch.compile(loss(CASES["kmeans"]), fullgraph=True)
    if transform == "compile":
        np.testing.assert_allclose(scalar(x[0]), loss(CASES["kmeans"])(x[0].numpy()), rtol=1e-9)
    else:
        along = np.sum(backward(scalar, x[0]).numpy() * direction())
        np.testing.assert_allclose(along, expected("kmeans")[1][0], rtol=1e-6, atol=1e-4)


@pytest.mark.compile
@pytest.mark.parametrize("name", ["kmeans", "k-means||", "farthest-first", "random"])
def test_no_arithmetic_of_keys_is_compiled(torch, x, name):
    """The default compiler takes minutes over it; so it stays inside of operators."""
    graphs = []

    def keep(graph, _):
        graphs.extend(m for m in graph.modules() if isinstance(m, torch.fx.GraphModule))
        return graph.forward

    options = {"key": 0, "metric": kf.Metric(lambda a, b: ((a - b) ** 2).sum(dim=-1))}
    call = partial(kf.kmeans, n_init=2, max_iter=2) if name == "kmeans" else INITS[name]
    compiled(torch, lambda x: call(x, 3, **options), keep)(x[0])
    targets = {str(node.target) for graph in graphs for node in graph.graph.nodes}
    assert any("kmeans_fx" in target for target in targets)
    assert not any("xor" in target for target in targets)


@pytest.mark.compile
def test_a_second_call_compiles_nothing(torch, x):
    counters = torch._dynamo.utils.counters
    counters.clear()
    fit = compiled(torch, CASES["kmeans"])
    fit(x[0])
    graphs = counters["stats"]["unique_graphs"]
    assert graphs >= 1
    fit(x[1])
    assert counters["stats"]["unique_graphs"] == graphs


def test_vmap_over_starts_equals_a_loop(torch, x):
    starts = x[:, ::8, :]
    batch = torch.vmap(kf.lloyd, in_dims=(None, 0))(x[0], starts)
    for i in range(3):
        for ours, theirs in zip(batch, kf.lloyd(x[0], starts[i]), strict=True):
            torch.testing.assert_close(ours[i], theirs)
