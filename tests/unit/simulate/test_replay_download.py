"""The script that fetches real alerts, with an archive and a package index made of files."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.simulate.sky import synthetic_packets
from fink_broker.simulate.sources import open_source

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = REPOSITORY / "datasim" / "download_ztf_alert_data.sh"
TABLES = ("alerts", "20240606_iband_history", "CTAO_blazar_datatest_v20-12-24")
#: pip asks a source distribution for its name and version by building so much of it
BACKEND = """
from pathlib import Path
METADATA = "Metadata-Version: 2.1\\nName: fink-science\\nVersion: 7.4.0\\n"
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = Path(folder) / "fink_science-7.4.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    return info.name
def build_wheel(folder, settings=None, metadata=None):
    raise RuntimeError
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the script needs bash and curl"
)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def place(tmp_path):
    """Return a folder with the script in it, beside an archive and an index."""
    for name in ("datasim", "archive", "index"):
        (tmp_path / name).mkdir()
    shutil.copy(SCRIPT, tmp_path / "datasim")
    return tmp_path


def add_package(place: Path) -> None:
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(synthetic_packets(3, seed=1))), table)
    files = {f"fink-science-7.4.0/fink_science/data/alerts/{name}.parquet": table.getvalue() for name in TABLES}
    files |= {"fink-science-7.4.0/pyproject.toml": PROJECT.encode(), "fink-science-7.4.0/backend.py": BACKEND.encode()}
    files["fink-science-7.4.0/PKG-INFO"] = b"Metadata-Version: 2.1\nName: fink-science\nVersion: 7.4.0\n"
    write_tar(place / "index" / "fink-science-7.4.0.tar.gz", files)


def fetch(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {
        "FINK_PYTHON": sys.executable,
        "PYTHONPATH": str(REPOSITORY),
        "FINK_ZTF_ARCHIVE": (place / "archive").as_uri(),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(place / "index"),
    }
    command = ["bash", str(place / "datasim" / SCRIPT.name), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def replayable(place: Path) -> int:
    source = open_source(str(place / "datasim"), print, synthetic_count=0, seed=0)
    return sum(1 for _ in source.alerts())


def test_a_night_comes_from_the_archive_an_interrupted_one_goes_on(place, unpacked):
    packets = unpacked("ztf_packets_schema_3.3", "ztf_packets_schema_3.2")
    archive = place / "archive" / "ztf_public_20190901.tar.gz"
    write_tar(archive, {f"{number}.avro": packet for number, packet in enumerate(packets)})
    (place / "datasim" / f"{archive.name}.part").write_bytes(archive.read_bytes()[:10_000])
    done = fetch(place, "20190901")
    assert done.returncode == 0, done.stderr
    assert f"public ZTF archive: {len(packets)} alerts" in done.stdout
    assert (place / "datasim" / archive.name).read_bytes() == archive.read_bytes()
    assert replayable(place) == len(packets)
    assert not list(place.glob("datasim/*.part"))


def test_where_the_archive_is_away_or_empty_the_sample_of_the_package_comes(place):
    write_tar(place / "archive" / "ztf_public_20200101.tar.gz", {})
    add_package(place)
    for night in ("20190901", "20200101"):
        done = fetch(place, night)
        assert done.returncode == 0, done.stderr
        assert f"The night {night} could not be had" in done.stderr
        assert "Got the sample in fink-science 7.4.0: 9 alerts" in done.stdout
        assert replayable(place) == 9


def test_when_neither_can_be_reached_it_says_so_and_fails(place):
    for arguments, said in (
        (("20190901",), "neither"),
        ((), "package index could not be reached"),
        (("x",), "YYYYMMDD"),
    ):
        done = fetch(place, *arguments)
        assert done.returncode == 1
        assert said in done.stderr.splitlines()[-1]
        assert [file.name for file in (place / "datasim").iterdir()] == [SCRIPT.name]


def test_help_tells_what_it_would_do(place):
    done = fetch(place, "--help")
    assert done.returncode == 0
    assert "YYYYMMDD" in done.stdout
