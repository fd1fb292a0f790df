"""What all tests share: where the real alerts are."""

from __future__ import annotations

import functools
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real alerts and expected results beside the repository; skips where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real alerts are not here: this test needs ../shared/data beside the repository")
    return folder


@pytest.fixture(scope="session")
def unpacked(shared_data: Path) -> Callable[..., list[bytes]]:
    """Return a function that gives the packets of some of the real sets, as bytes, in the order of their names."""

    @functools.cache
    def read_set(name: str) -> list[bytes]:
        with tarfile.open(shared_data / "ztf" / f"{name}.tar.gz") as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        return [found[member] for member in sorted(found)]

    return lambda *names: [packet for name in names for packet in read_set(name)]
