"""What all tests share: where the real alerts are."""

from __future__ import annotations

import functools
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests in the browser do without HBase, which is quicker, and those of a server know where it is."""
    parser.addoption(
        "--archive", choices=("hbase", "memory"), default="hbase", help="what the portal of browser tests reads"
    )
    parser.addoption("--url", default="", help="the server that the tests of deployed ones ask")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests of a deployed server where none is named."""
    is_deployed = collection_path.name == "deployed" and collection_path.parent == REPOSITORY / "tests"
    return True if is_deployed and not config.getoption("--url") else None


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
