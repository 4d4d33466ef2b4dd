"""Ctrl-C and errors, in a process of its own: no file is half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.backend("numpy"),
    pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals"),
]

PENGUINS = Path(__file__).parents[1] / "kmeans_fx" / "data" / "penguins.csv"
# Runs the command line; where a function of it is named, that says so and waits for a signal.
# Ctrl-C acts as in a terminal, though tests that run in the background may have to ignore it.
RUN = """
import importlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
module, _, name = sys.argv.pop(1).rpartition(".")
def wait(*args, **kwargs):
    print("waiting", file=sys.stderr, flush=True)
    time.sleep(60)
if module:
    setattr(importlib.import_module(module), name, wait)
from kmeans_fx.cli import main
main()
"""


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(where, *arguments):
    command = [sys.executable, "-c", RUN, where, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Exit code and what was left to read, within a minute."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_files_are_written(tmp_path, sent):
    out = tmp_path / "out"
    fast = ["--n-init", "2", "--no-report", "--out", out]
    code, _, err = ended(start("", "cluster", PENGUINS, "-k", "2", *fast))
    assert code == 0, err
    before = content(out)
    # By then labels, centroids and the model lie in the hidden folder.
    process = start("kmeans_fx.cli.results.write_json", "cluster", PENGUINS, "-k", "3", *fast)
    assert process.stderr.readline() == "waiting\n"
    (hidden,) = [path for path in out.iterdir() if path.is_dir()]
    assert {"labels.csv", "model.npz"} <= set(content(hidden))
    process.send_signal(sent)
    code, _, err = ended(process)
    assert code == (1 if sent == signal.SIGINT else 128 + signal.SIGTERM), err
    assert "Traceback" not in err
    assert content(out) == before


def test_ctrl_c_while_it_computes(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((200_000, 8)))
    out = tmp_path / "out"
    options = ["-k", "200", "--n-init", "50", "--out", out]
    process = start("", "cluster", tmp_path / "x.npy", *options)
    assert process.stdout.readline().startswith("Read")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 1
    assert err.strip() == "Aborted!"
    assert not out.exists()


@pytest.mark.parametrize("command", ["predict", "quantize"])
def test_ctrl_c_while_a_single_file_is_written(tmp_path, command):
    from PIL import Image

    if command == "predict":
        ended(start("", "cluster", PENGUINS, "-k", "2", "--no-report", "--out", tmp_path / "out"))
        arguments = [tmp_path / "out" / "model.npz", PENGUINS, "-o", tmp_path / "to" / "labels.csv"]
        where = "kmeans_fx.cli.commands.write_labels"
    else:
        Image.fromarray(np.eye(8, dtype=np.uint8) * 200).save(tmp_path / "i.png")
        arguments = [tmp_path / "i.png", "-k", "2", "-o", tmp_path / "to" / "o.png"]
        where = "kmeans_fx.cli.commands.save_palette"
    process = start(where, command, *arguments)
    assert process.stderr.readline()
    while not (tmp_path / "to").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 1
    assert not (tmp_path / "to").exists()


def test_an_error_while_files_are_written(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from kmeans_fx.cli.commands import app

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kmeans_fx.cli.results.report", fail)
    arguments = ["cluster", str(PENGUINS), "-k", "2", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code not in (0, 2)
    assert not (tmp_path / "out").exists()


def test_nothing_goes_to_a_stderr_that_is_no_terminal(tmp_path):
    options = ["--ks", "2-3", "--references", "0", "--no-report", "--out", tmp_path / "out"]
    code, _, err = ended(start("", "cluster", PENGUINS, *options))
    assert (code, err) == (0, "")


def test_bars_go_to_a_terminal(tmp_path):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    options = ["--ks", "2-3", "--references", "0", "--no-report"]
    command = [sys.executable, "-m", "kmeans_fx", "cluster", str(PENGUINS), *options]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=follower, text=True, env=environment
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
    except OSError:  # the other side has closed
        pass
    os.close(leader)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Trying numbers of clusters" in shown.decode()
    assert "\x1b" not in out
