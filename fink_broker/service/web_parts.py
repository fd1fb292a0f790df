"""Fetch what browsers get from the portal and the package does not ship: pinned, each with its checksum.

``web_parts.lock`` is the list. A part is downloaded once for a Python environment to
``fink_broker.config.paths.web_parts_folder()``; the registry is npm's unless ``FINK_NPM_REGISTRY`` names a mirror. The
portal works without. Run as a program it fetches all parts.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rich.console import Console

from fink_broker.config.paths import web_parts_folder
from fink_broker.errors import ServiceError

REGISTRY = "https://registry.npmjs.org"
CONNECT_READ_SECONDS = (5, 60)
#: Largest package and largest file in it, in bytes.
MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class WebPart:
    """A file of an npm package.

    Parameters
    ----------
    file_name : str
        What it is called here.
    package, version : str
        Of the registry.
    member : str
        Path in the package's archive.
    sha256 : str
        Checksum of the file.
    """

    file_name: str
    package: str
    version: str
    member: str
    sha256: str

    @property
    def path(self) -> str:
        """Path of the package below the root of a registry."""
        return f"{self.package}/-/{self.package.rsplit('/', 1)[-1]}-{self.version}.tgz"


def web_parts() -> list[WebPart]:
    """Return the parts in the lock file."""
    text = resources.files("fink_broker.service").joinpath("web_parts.lock").read_text()
    return [WebPart(*line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def ensure() -> list[Path]:
    """Return the files of all parts, fetching those that are missing or differ from the lock file.

    Raises
    ------
    ServiceError
        If the registry cannot be reached, or delivers something else than the lock file names.
    """
    folder = web_parts_folder()
    for part in web_parts():
        if _sha256_of(folder / part.file_name) == part.sha256:
            continue
        content = _file_of(part, _fetched(part))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{part.file_name}.{os.getpid()}.part"
            temporary.write_bytes(content)
            temporary.replace(folder / part.file_name)  # whole, or not at all: a portal may be serving it
        except OSError as error:
            raise ServiceError(
                f"The parts of the portal cannot be kept in {folder}: {error.strerror or error}.",
                "Set FINK_WEB_PARTS to a folder that can be written.",
            ) from error
    return [folder / part.file_name for part in web_parts()]


def _sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _fetched(part: WebPart) -> bytes:
    """Return the archive of a part's package."""
    import requests  # noqa: PLC0415 - a tenth of a second that a start with all parts does not need

    registry = os.environ.get("FINK_NPM_REGISTRY", REGISTRY).rstrip("/")
    try:
        with requests.get(f"{registry}/{part.path}", stream=True, timeout=CONNECT_READ_SECONDS) as answer:
            answer.raise_for_status()
            pieces, size = [], 0
            for piece in answer.iter_content(1 << 18):
                size += len(piece)
                if size > MOST_BYTES:
                    raise _other_file(part)
                pieces.append(piece)
            return b"".join(pieces)
    except requests.RequestException as error:
        raise ServiceError(
            f"{part.package} could not be fetched from {registry}: {type(error).__name__}.",
            "Check the network, or set FINK_NPM_REGISTRY to a registry you can reach; the portal works without.",
        ) from error


def _file_of(part: WebPart, archive: bytes) -> bytes:
    """Return the file of a part from its package's archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
            member = packed.getmember(part.member)
            file = packed.extractfile(member) if member.size <= MOST_BYTES else None
            content = file.read() if file else b""
    except (tarfile.TarError, KeyError, OSError, EOFError):
        content = b""
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise _other_file(part)
    return content


def _other_file(part: WebPart) -> ServiceError:
    return ServiceError(
        f"{part.path} is not the package web_parts.lock names: its checksum differs.",
        "Try again, or set FINK_NPM_REGISTRY to another registry.",
    )


def main() -> int:
    """Fetch all parts; the exit code says whether they are there."""
    try:
        ensure()
    except ServiceError as error:
        Console(stderr=True).print(str(error), highlight=False, soft_wrap=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
