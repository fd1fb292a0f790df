"""The Python environment of the TOM: built at first use, stamped when it is whole, built anew when it is out of date.

An environment without its stamp is not trusted and begun again; what pip has fetched by then is in pip's own cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import fink_broker
from fink_broker.errors import ServiceError
from fink_broker.service.child import die_with_parent

#: TOM Toolkit 3.1 runs in these
PYTHONS = ("python3.13", "python3.12", "python3.11")
FIRST_PYTHON_TOO_NEW = (3, 14)
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 10.0
#: packages between two reports: each is a line of the log
_STEP = 10
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps", "--progress-bar", "off")

Say = Callable[[str], None]


def module_folder() -> Path:
    """Return where the module of the TOM is: beside this package, in a checkout.

    Raises
    ------
    ServiceError
        If it is not there.
    """
    folder = Path(fink_broker.__file__).resolve().parents[1] / "integrations" / "tom_fink"
    if not (folder / "requirements-tom.txt").is_file():
        raise ServiceError(
            "The TOM module does not come with the installed package.", "Run `fink start tom` from a checkout of Fink."
        )
    return folder


def ensure(folder: Path, module: Path, stop: threading.Event, say: Say) -> Path | None:
    """Return the Python of the environment, building it if it is not there, or not whole, or out of date.

    Parameters
    ----------
    folder : Path
        Where it is, or will be.
    module : Path
        Folder of the module, with ``requirements-tom.txt``.
    stop : threading.Event
        Ends the work.
    say : callable
        Told how far it is.

    Returns
    -------
    Path or None
        None if it was told to stop.

    Raises
    ------
    ServiceError
        If a package cannot be fetched or installed.
    """
    python, stamp, wanted = folder / "bin" / "python", folder / ".stamp", _stamp(module)
    if python.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return python
    build = _Build(folder.with_name(f"{folder.name}.log"), stop, say)
    requirements = module / "requirements-tom.txt"
    packages = sum(1 for line in requirements.read_text().splitlines() if line and not line.startswith("#"))
    steps: list[tuple[str, int, list[str]]] = [
        ("making the Python environment of the TOM", 0, [_interpreter(), "-m", "venv", "--clear", str(folder)]),
        # not compiled: that would take as long as all the rest, for files most of which are never imported
        ("fetching the packages of the TOM", packages, [str(python), *_PIP, "--no-compile", "-r", str(requirements)]),
        ("adding the TOM module", 0, [str(python), *_PIP, "--no-build-isolation", "--editable", str(module)]),
    ]
    for purpose, number, command in steps:
        if not build.run(command, purpose, number):
            return None
    stamp.write_text(wanted)
    build.log.unlink()
    return python


def _stamp(module: Path) -> str:
    """Return what an environment is known by: the packages, the module's place, and the Python they were built for."""
    parts = [(module / name).read_bytes() for name in ("requirements-tom.txt", "pyproject.toml")]
    parts += [str(module).encode(), _interpreter().encode(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _interpreter() -> str:
    """Return a Python the TOM runs in: ours, if it is not too new."""
    if sys.version_info < FIRST_PYTHON_TOO_NEW:
        return sys.executable
    found = next(filter(None, map(shutil.which, PYTHONS)), None)
    if found is None:
        raise ServiceError(
            f"TOM Toolkit does not run in Python {sys.version_info.major}.{sys.version_info.minor}.",
            f"Install one of {', '.join(PYTHONS)} beside it.",
        )
    return found


class _Build:
    """Runs the programs that build the environment, one after the other, into one log."""

    def __init__(self, log: Path, stop: threading.Event, say: Say) -> None:
        self.log, self._stop, self._say = log, stop, say
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def run(self, command: list[str], purpose: str, packages: int = 0) -> bool:
        """Run a program to its end; return False if it was told to stop before.

        Raises
        ------
        ServiceError
            If it fails.
        """
        self._say(f"starting: {purpose}")
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the launcher, which then ends this
                preexec_fn=_behind_the_stream,  # noqa: PLW1509 - no other way to tie a child's life to ours
            )
        try:
            while process.poll() is None:
                if self._stop.wait(_LOOK_SECONDS):
                    return False
                if packages:
                    self._say(f"starting: {purpose}{self._progress(packages)}")
        finally:
            _end(process)
        if process.returncode:
            raise ServiceError(
                f"The environment of the TOM could not be built: {self._reason()}.",
                f"Is the package index reachable? Its log is {self.log}; the next `fink start tom` tries again.",
            )
        return True

    def _progress(self, packages: int) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        if any(line.startswith("Installing collected") for line in lines):
            return ", installing them"
        fetched = sum(line.startswith("Collecting") for line in lines)
        return f", {fetched // _STEP * _STEP} of {packages}"

    def _reason(self) -> str:
        """Return what pip calls an error, else the last line."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        return (told or lines or ["it does not say why"])[-1].rstrip(".")[:300]


def _behind_the_stream() -> None:
    """Tie the program's life to ours, and let services that handle alerts meanwhile go first."""
    os.nice(10)
    die_with_parent()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
