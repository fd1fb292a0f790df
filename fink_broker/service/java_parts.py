"""Fetch the pinned Java archives: each named with its checksum, never resolved at run time.

``java_parts.lock`` is the list. A set is downloaded once for a Python environment, in parallel, to
``fink_broker.config.paths.java_parts_folder(set)``; the repository is Maven Central unless
``FINK_MAVEN_REPOSITORY`` names a mirror. Run as a program it fetches all sets.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fink_broker.config.paths import java_parts_folder
from fink_broker.errors import ServiceError

if TYPE_CHECKING:
    import requests

REPOSITORY = "https://repo1.maven.org/maven2"
STAMP = ".verified.json"
THREADS = 8
CHUNK_BYTES = 1 << 18
CONNECT_READ_SECONDS = (10, 60)


@dataclass(frozen=True)
class Part:
    """One Java archive of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the archive on disk and in the repository."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Path below the root of a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def sets() -> list[str]:
    """Return the names of the sets in the lock file."""
    return list(dict.fromkeys(line.split()[0] for line in _lock_lines()))


def parts(set_name: str) -> list[Part]:
    """Return the archives of a set, in the order of the lock file."""
    found = []
    for line in _lock_lines():
        name, coordinates, sha256 = line.split()
        if name == set_name:
            group, artifact, version = coordinates.split(":")
            found.append(Part(group, artifact, version, sha256))
    if not found:
        raise ServiceError(f"There is no set of Java parts named {set_name}.", f"Known: {', '.join(sets())}.")
    return found


def classpath(set_name: str) -> str:
    """Return the Java class path of a set that `ensure` has fetched."""
    folder = java_parts_folder(set_name)
    return os.pathsep.join(str(folder / part.file_name) for part in parts(set_name))


def ensure(set_name: str, console: Console) -> list[Path]:
    """Return the archives of a set, fetching what is missing.

    Parameters
    ----------
    set_name : str
        ``spark``, ``kafka`` or ``hbase``.
    console : Console
        Where the progress bar goes; nothing is printed where all is present.

    Raises
    ------
    ServiceError
        If the repository cannot be reached or delivers something else than the lock file names.
    """
    folder, wanted = java_parts_folder(set_name), parts(set_name)
    if _is_verified(folder, wanted):
        return [folder / part.file_name for part in wanted]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [part for part in wanted if _sha256(folder / part.file_name) != part.sha256]
        if missing:
            _download(set_name, missing, folder, console)
        _drop_others(folder, wanted)
        _write_stamp(folder, wanted)
    except OSError as error:
        raise ServiceError(
            f"The Java parts cannot be kept in {folder}: {error.strerror or error}.",
            "Set FINK_JAVA_PARTS to a folder that can be written.",
        ) from error
    return [folder / part.file_name for part in wanted]


def _lock_lines() -> list[str]:
    text = resources.files("fink_broker.service").joinpath("java_parts.lock").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp_of(folder: Path, wanted: list[Part]) -> dict[str, list[str | int]]:
    # size beside checksum: a file cut short later is noticed without reading 40 MB at each start
    return {part.file_name: [part.sha256, (folder / part.file_name).stat().st_size] for part in wanted}


def _is_verified(folder: Path, wanted: list[Part]) -> bool:
    try:
        return bool(json.loads((folder / STAMP).read_text()) == _stamp_of(folder, wanted))
    except (OSError, ValueError):
        return False


def _write_stamp(folder: Path, wanted: list[Part]) -> None:
    temporary = folder / f"{STAMP}.{os.getpid()}"
    temporary.write_text(json.dumps(_stamp_of(folder, wanted), indent=0))
    temporary.replace(folder / STAMP)


def _drop_others(folder: Path, wanted: list[Part]) -> None:
    # an archive of an older lock file would end up on the class path beside its successor
    names = {part.file_name for part in wanted}
    for path in folder.glob("*.jar"):
        if path.name not in names:
            path.unlink(missing_ok=True)


def _download(set_name: str, missing: list[Part], folder: Path, console: Console) -> None:
    import requests  # noqa: PLC0415 - a tenth of a second that `fink show` does not need
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    repository = os.environ.get("FINK_MAVEN_REPOSITORY", REPOSITORY).rstrip("/")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]} of {task.fields[total_files]} files"),
        console=console,
    )
    with bar, _session() as session, ThreadPoolExecutor(THREADS) as pool:
        title = f"Java parts of {set_name}"
        task = bar.add_task(title, total=None, files=0, total_files=len(missing))
        jobs = [
            pool.submit(_fetch, session, repository, part, folder, lambda n: bar.advance(task, n)) for part in missing
        ]
        try:
            for number, job in enumerate(jobs, start=1):
                job.result()
                bar.update(task, files=number)
        except requests.RequestException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            raise ServiceError(
                f"The Java parts of {set_name} could not be fetched from {repository}: {_cause(error)}.",
                "Check the network, or set FINK_MAVEN_REPOSITORY to a Maven repository you can reach.",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        bar.update(task, total=bar.tasks[0].completed)


@contextmanager
def _session() -> Iterator[requests.Session]:
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.util import Retry  # noqa: PLC0415

    retry = Retry(total=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(pool_maxsize=THREADS, max_retries=retry))
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS, max_retries=retry))
        yield session


def _fetch(
    session: requests.Session, repository: str, part: Part, folder: Path, advance: Callable[[int], None]
) -> None:
    digest, temporary = hashlib.sha256(), folder / f".{part.file_name}.{os.getpid()}.part"
    try:
        url = f"{repository}/{part.path}"
        with session.get(url, stream=True, timeout=CONNECT_READ_SECONDS) as answer, temporary.open("wb") as out:
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
                advance(len(chunk))
        if digest.hexdigest() != part.sha256:
            raise ServiceError(
                f"{url} is not the file java_parts.lock names: its checksum differs.",
                "Try again, or set FINK_MAVEN_REPOSITORY to another Maven repository.",
            )
        temporary.replace(folder / part.file_name)
    finally:
        temporary.unlink(missing_ok=True)


def _cause(error: BaseException) -> str:
    # the last link of the chain says what happened; requests wraps it three times
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error).strip().rstrip(".").split("> ", 1)[-1]


def main() -> int:
    """Fetch all sets; the exit code says whether they are there."""
    console = Console(stderr=True)
    try:
        for name in sets():
            ensure(name, console)
    except ServiceError as error:
        console.print(str(error), highlight=False, soft_wrap=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
