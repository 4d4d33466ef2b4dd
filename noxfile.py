"""The project's checks; ``python -m nox`` runs all but the benchmarks.

``python -m nox -l`` lists the sessions, and words after ``--`` go to the session's main tool:
``python -m nox -s "tests(torch)" -- -k kmeans -x``.
"""

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typecheck", "tests", "docs", "build"]

PROJECT = nox.project.load_toml("pyproject.toml")
# Extras of the package that a library is tested with.
EXTRAS = {
    "numpy": "[numpy,cli,images,plot]",
    "array-api-strict": "",
    "jax": "[jax,cli]",
    "torch": "[torch,cli]",
}
# XLA spends most of its time on code that is fast for large arrays: those of tests are tiny.
QUICK_COMPILATION = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
}


def install(session, *packages, group, also=()):
    """Install packages and dependency groups, at the versions that the project holds fixed.

    The environment variable KMEANS_FX_CONSTRAINTS names another constraints file; empty, it
    holds nothing fixed.
    """
    constraints = os.environ.get("KMEANS_FX_CONSTRAINTS", ".ci/constraints.txt")
    fixed = ["-c", constraints] if constraints else []
    # Byte code is made of the modules that are imported; of all takes half of pip's time.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    fixed.append("--no-compile")
    if "-e" in packages:
        # One build environment for all that is installed, instead of pip's own for each time.
        session.install(*fixed, *PROJECT["build-system"]["requires"], "editables")
        fixed.append("--no-build-isolation")
    session.install(*fixed, *packages, *nox.project.dependency_groups(PROJECT, group, *also))


@nox.session
def lint(session):
    """Style, docstrings and the direction of imports."""
    install(session, *PROJECT["project"]["dependencies"], group="lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("python", "-m", "docs.docstrings")
    session.run("lint-imports", "--no-cache")


@nox.session
def typecheck(session):
    """Types of the package, against array-api-compat and NumPy."""
    install(session, *PROJECT["project"]["dependencies"], group="typecheck")
    session.run("mypy", *session.posargs)


# What kernels take part in; the rest is the same code with and without. They work on NumPy's
# arrays, so for the others it is enough that theirs get there and back.
OF_KERNELS = ["kernels", "kmeans", "seeding"]
WITH_KERNELS = {
    "numpy": [*OF_KERNELS, "assign", "bad_input", "bounded", "empty", "init", "lloyd"],
    "jax": OF_KERNELS,
    "torch": OF_KERNELS,
}
# What takes part in the fits that NumPy does for tensors on a CPU, and PyTorch on a GPU.
OF_LOOPS = ["bounded", "empty", "init", "kmeans", "lloyd"]


@nox.session
@nox.parametrize("backend", list(EXTRAS), ids=list(EXTRAS))
def tests(session, backend):
    """The test suite on one array library, which must be there; then other ways to the same."""
    install(session, "-e", f".{EXTRAS[backend]}", group="test")
    session.env.update(QUICK_COMPILATION)
    if backend in ("jax", "torch"):
        # Compilation keeps one core busy. Threads of two processes would fight over two cores.
        session.env["OMP_NUM_THREADS"] = "1"
    # The tests of a file use much that JAX compiled for the others.
    spread = ["-n", "2", f"--dist={'loadfile' if backend == 'jax' else 'load'}"]
    pytest = ["python", "-m", "pytest", *spread]
    session.run(*pytest, f"--backend={backend}", *session.posargs)

    def again(names, option):
        files = [f"tests/test_{name}.py" for name in names]
        few = [option, f"--backend={backend}", "-m", "not compile", *files]
        none_is_left = [0, 5] if session.posargs else [0]
        session.run(*pytest, *few, *session.posargs, success_codes=none_is_left)

    if backend == "torch":
        again(OF_LOOPS, "--alone")
    if backend in WITH_KERNELS:
        install(session, *PROJECT["project"]["optional-dependencies"]["fast"], group="test")
        again(WITH_KERNELS[backend], "--kernels")


@nox.session
def triton(session):
    """Tests of what is for a GPU by interpreters, on a CPU; not in the default run."""
    install(session, "-e", ".[jax,numpy,torch]", group="test", also=["triton"])
    session.env.update(QUICK_COMPILATION, TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    files = [f"tests/test_{name}.py" for name in ("triton", "pallas", "accelerator", "benchmarks")]
    libraries = ["--backend=jax,torch", "-n", "2"]
    session.run("python", "-m", "pytest", *libraries, *files, *session.posargs)


@nox.session
def gpu(session):
    """Tests on a GPU, which are skipped where there is none; not part of the default run.

    PyTorch's wheels for CUDA bring Triton.
    """
    install(session, "-e", ".[dask,torch]", group="test")
    pytest = ["python", "-m", "pytest", "--backend=torch", "tests/test_gpu.py", *session.posargs]
    session.run(*pytest, success_codes=[0, 5])  # 5: all were skipped


@nox.session
def transforms(session):
    """Every function under every transform, parts of deeper ones too: writes docs/capabilities.md.

    Not part of the default run, which tests the deepest compositions.
    """
    install(session, "-e", ".[numpy,jax,torch]", group="test")
    session.env.update(QUICK_COMPILATION, OMP_NUM_THREADS="1")
    files = [
        f"tests/test_{name}.py" for name in ("capabilities", "transforms_jax", "transforms_torch")
    ]
    every = ["-p", "docs.capabilities", "-m", "", f"--backend={','.join(EXTRAS)}"]
    session.run("python", "-m", "pytest", *every, "-n", "2", *files, *session.posargs)


@nox.session
def distributed(session):
    """Tests on four devices of JAX, and in two processes of JAX and of PyTorch."""
    install(session, "-e", ".[jax,torch]", group="test")
    session.env.update(QUICK_COMPILATION)
    session.env["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"
    session.env["OMP_NUM_THREADS"] = "1"
    files = ["tests/test_distributed_jax.py", "tests/test_distributed_torch.py"]
    spread = ["-m", "distributed", "-n", "2", "--dist=loadfile"]
    libraries = "--backend=jax,torch"
    session.run("python", "-m", "pytest", libraries, *spread, *files, *session.posargs)


@nox.session
def dask(session):
    """Tests on a Dask cluster of two processes; not part of the default run."""
    install(session, "-e", ".[dask,torch]", group="test", also=["dask"])
    session.env["PYTHONWARNINGS"] = "ignore"
    session.run("python", "-m", "pytest", "--backend=numpy", "-m", "dask", *session.posargs)


@nox.session
def cluster(session):
    """The recipes for Spark (which needs Java) and Ray; not part of the default run."""
    install(session, "-e", ".[numpy]", group="test", also=["cluster"])
    tests = ["tests/test_cluster_recipes.py", "-m", "cluster", "--backend=numpy"]
    session.run("python", "-m", "pytest", *tests, *session.posargs)


@nox.session
def docs(session):
    """Every example of README, docs and docstrings is run; then the pages are built."""
    install(session, "-e", ".[cli,images,jax,numpy,plot,torch]", group="docs")
    session.env.update(QUICK_COMPILATION)
    examples = ["README.md", "docs", "kmeans_fx"]
    pytest = ["python", "-m", "pytest", "-p", "docs.examples", "-n", "2", "--dist", "loadfile"]
    session.run(*pytest, *examples, *session.posargs)
    strict = ["-q", "-W", "-n", "--keep-going", "-j", "2"]
    session.run("sphinx-build", *strict, "docs", "docs/_build/html")


@nox.session
def build(session):
    """The wheel, made from the sdist, works in a clean environment."""
    install(session, *PROJECT["build-system"]["requires"], group="build")
    folder = Path(session.create_tmp())
    dist, clean = folder / "dist", folder / "clean"
    pieces = ["--no-isolation", "--outdir", str(dist)]
    session.run("python", "-m", "build", *pieces, silent=True)
    session.run("python", "-m", "virtualenv", "--clear", str(clean), silent=True)
    wheel = max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    scripts = clean / ("Scripts" if os.name == "nt" else "bin")

    def run(command, *words, **how):
        session.run(str(scripts / command), *words, external=True, **how)

    run("python", "-m", "pip", "install", "--quiet", str(wheel))
    run("python", "-c", "import kmeans_fx; print(kmeans_fx.__version__)")
    run("kmeans-fx", "--help", success_codes=[2])  # it says how to get the extra `cli`


@nox.session
def bench(session):
    """Speed and memory against other libraries; not part of the default run."""
    install(session, "-e", ".[jax,numpy,torch]", group="bench")
    session.run("python", "-m", "benchmarks", *session.posargs)
