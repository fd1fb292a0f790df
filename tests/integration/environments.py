"""Environments of the software other people run, each from a pinned set, built once and kept.

Set ``<name>`` is pinned in ``<name>.txt`` beside this file. What is built stays in ``$FINK_TEST_CACHE`` or
``~/.cache/fink_broker_tests``, where uv keeps what it fetched too, so that environments share their files. Run as a
program it builds all that are not there yet, so that no test has to wait::

    python tests/integration/environments.py
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

#: the pinned sets, those first whose tests come first
NAMES = (
    "fink-client-12.3.0",
    "fink-client-9.2",
    "fink-client-7.2",
    "fink-client-4.4",
    "tom-2.32.4",
    "tom-3.1.0",
)


class NoPackages(Exception):
    """The package index did not give what the environment needs."""


def pins(name: str) -> Path:
    """Return the file with the pinned set of an environment."""
    return Path(__file__).with_name(f"{name}.txt")


def environment(name: str) -> Path:
    """Return the folder of programs of an environment, built now if it was not yet.

    Raises
    ------
    NoPackages
        With what the installer said.
    """
    return kept(name, pins(name).read_bytes(), lambda folder: _build(name, folder)) / "bin"


def kept(name: str, ingredients: bytes, make: Callable[[Path], None]) -> Path:
    """Return a folder that is made once and then kept, by whichever process asks first; the others wait for it.

    Parameters
    ----------
    name : str
        What the folder is called, up to a mark of what it is made of.
    ingredients : bytes
        What it is made of: other ingredients give another folder.
    make : callable
        Creates and fills the folder; what it left when it was interrupted is removed before it is called again.
    """
    cache = _cache()
    folder = cache / f"{name}-{hashlib.sha256(ingredients).hexdigest()[:8]}"
    complete = folder / "complete"
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            complete.touch()
    return folder


def on_top(programs: Path, folder: Path, *packages: str) -> Path:
    """Install packages as users of an environment do, but so that the environment stays as it is.

    Parameters
    ----------
    programs : Path
        Folder of programs of the environment: what it has is seen, and need not be installed again.
    folder : Path
        Where the packages go, and whatever they need that is not there; made now.
    packages : str
        As pip takes them: names with versions, or folders.

    Returns
    -------
    programs : Path
        Folder of programs that see both.

    Raises
    ------
    NoPackages
        With what pip said.
    """
    _run(str(folder), str(programs / "python"), "-m", "venv", "--without-pip", str(folder))
    (site,) = folder.glob("lib/python*/site-packages")
    (below,) = programs.parent.glob("lib/python*/site-packages")
    (site / "below.pth").write_text(f"{below}\n")
    _run(" ".join(packages), *_pip(folder), *packages)
    return folder / "bin"


def interruptible(command: Sequence[str]) -> list[str]:
    """Return a command that heeds Ctrl-C even where this process was told not to, as a shell tells what it runs behind.

    Parameters
    ----------
    command : sequence of str
        The path of a program, and its arguments.
    """
    code = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-ISc", code, *command]


def _cache() -> Path:
    cache = Path(os.environ.get("FINK_TEST_CACHE") or Path.home() / ".cache" / "fink_broker_tests")
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _build(name: str, folder: Path) -> None:
    # the pinned sets were run on this version of Python, the oldest the broker itself runs on
    ours = sys.executable if sys.version_info[:2] == (3, 11) else None
    python = ours or shutil.which("python3.11") or sys.executable
    _run(name, python, "-m", "venv", "--without-pip", str(folder))
    # what is never imported need not be compiled
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", "-r", str(pins(name))]
    if uv := _uv():
        try:
            _run(name, uv, "pip", "install", "--quiet", "--python", str(folder), *options)
            return
        except NoPackages as error:  # it heeds neither pip's mirror nor pip's certificates
            print(f"{error}\npip tries now, which takes longer", file=sys.stderr)
    _run(name, *_pip(folder), *options)


def _uv() -> str:
    """Return the program uv of this environment, or nothing: there is none for some machines."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or ""


def _pip(folder: Path) -> list[str]:
    """Return the beginning of a command of our own pip that installs into an environment."""
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    return [*pip, "install", "--quiet", "--disable-pip-version-check"]


def _run(name: str, *command: str) -> None:
    environ = {"UV_CACHE_DIR": str(_cache() / "uv"), **os.environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPackages(f"{name} cannot be installed: {(done.stderr or done.stdout).strip()[-500:]}")


if __name__ == "__main__":
    for each in NAMES:
        environment(each)
