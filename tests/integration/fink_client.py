"""The real fink-client from the package index, each version in an environment of its own, run as users run it.

What they are made of is pinned in ``fink-client-<version>.txt``; they are built once and kept in
``$FINK_TEST_CACHE`` or ``~/.cache/fink_broker_tests``.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro

VERSIONS = ("12.3.0", "9.2")


class NoPackages(Exception):
    """The package index did not give what the environment needs."""


def environment(version: str) -> Path:
    """Return the folder of programs of one fink-client version, installed now if it was not yet.

    Raises
    ------
    NoPackages
        With what pip said.
    """
    cache = Path(os.environ.get("FINK_TEST_CACHE") or Path.home() / ".cache" / "fink_broker_tests")
    cache.mkdir(parents=True, exist_ok=True)
    pins = Path(__file__).with_name(f"fink-client-{version}.txt")
    folder = cache / f"fink-client-{version}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:8]}"
    complete = folder / "complete"
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            # the pinned sets were run on this version of Python, the oldest the broker itself runs on
            ours = sys.executable if sys.version_info[:2] == (3, 11) else None
            python = ours or shutil.which("python3.11") or sys.executable
            subprocess.run([python, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
            done = subprocess.run(
                [*pip, "--quiet", "--no-deps", "--only-binary=:all:", "-r", str(pins)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise NoPackages(done.stderr.strip()[-500:])
            complete.touch()
    return folder / "bin"


class FinkClient:
    """A user with an empty home and one version of fink-client.

    Parameters
    ----------
    version : str
        One of :data:`VERSIONS`.
    home : Path
        An empty folder.
    servers : str
        ``host:port`` of Kafka.
    group : str
        Consumer group of this user.
    """

    def __init__(self, version: str, home: Path, servers: str, group: str) -> None:
        self.version, self._home, self._servers, self._group = version, home, servers, group
        self._programs = environment(version)
        self._is_new = version.startswith("12")

    def register(self, topic: str, timeout_seconds: int = 2) -> None:
        """Register, and subscribe to a topic."""
        who = ["-username", "tester", "-servers", self._servers, "-maxtimeout", str(timeout_seconds)]
        if self._is_new:
            self._run("finkctl", "auth", "register", "-survey", "ztf", "-groupid", self._group, *who)
            self._run("finkctl", "topic", "subscribe", "-survey", "ztf", "-name", topic)
        else:
            self._run("fink_client_register", "-group_id", self._group, "-mytopics", topic, *who)

    def save(self, number: int, folder: Path) -> str:
        """Poll so many alerts and save them; return what was printed."""
        return self._run(*self._poll(), "--save", "--display", "-outdir", str(folder), "-limit", str(number))

    def poll_in_vain(self, folder: Path, seconds: float) -> str:
        """Poll for some seconds, then interrupt as a user would; return what was printed."""
        command = self._command(*self._poll(), "--save", "--display", "-outdir", str(folder))
        with subprocess.Popen(
            command, env=self._environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                printed, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                printed, _ = process.communicate(timeout=30)
        return printed

    def _poll(self) -> list[str]:
        return ["finkctl", "stream", "-survey", "ztf"] if self._is_new else ["fink_consumer"]

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._programs / program), *arguments]

    def _environ(self) -> dict[str, str]:
        # nothing of this test's environment, but what a login shell has
        return {"HOME": str(self._home), "PATH": f"{self._programs}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            self._command(program, *arguments),
            env=self._environ(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def saved_alerts(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the alerts fink-client saved, by candid; the names of files must be those users know."""
    alerts = {}
    for path in sorted(folder.glob("*.avro")):
        with path.open("rb") as file:
            (alert,) = fastavro.reader(file)
        assert path.name == f"{alert['objectId']}_{alert['candid']}.avro"
        alerts[alert["candid"]] = alert
    return alerts


def seconds_between(moment: str, jd: float) -> float:
    """Return by how many seconds a time in words (UTC) differs from a jd (days)."""
    unix_seconds = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return abs(unix_seconds - (jd - 2440587.5) * 86400)


def differences(saved: Any, stored: Any, where: str = "") -> list[str]:
    """Return where a saved alert and a row of the science table differ, value by value.

    Parameters
    ----------
    saved : Any
        From an Avro file.
    stored : Any
        From Parquet, as Arrow gives it: maps are lists of pairs, times have a zone.
    where : str
        Path of this value in the alert.
    """
    if isinstance(stored, dict) and isinstance(saved, dict):
        found = [f"{where}.{name} is only stored" for name in stored.keys() - saved.keys()]
        found += [f"{where}.{name} is only sent" for name in saved.keys() - stored.keys()]
        for name in stored.keys() & saved.keys():
            found += differences(saved[name], stored[name], f"{where}.{name}" if where else name)
        return sorted(found)
    if isinstance(stored, list) and isinstance(saved, dict):
        return differences(saved, dict(stored), where)
    if isinstance(stored, list) and isinstance(saved, list):
        if len(stored) != len(saved):
            return [f"{where} has {len(saved)} elements, stored are {len(stored)}"]
        pairs = enumerate(zip(saved, stored, strict=True))
        return [text for number, (a, b) in pairs for text in differences(a, b, f"{where}[{number}]")]
    return [] if _same(saved, stored) else [f"{where} is {saved!r:.80}, stored is {stored!r:.80}"]


def _same(saved: Any, stored: Any) -> bool:
    if isinstance(stored, datetime) and isinstance(saved, str):
        in_zone = stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)
        return datetime.fromisoformat(saved).replace(tzinfo=UTC) == in_zone
    if isinstance(stored, float) and isinstance(saved, float) and math.isnan(stored):
        return math.isnan(saved)
    return type(saved) is type(stored) and saved == stored
