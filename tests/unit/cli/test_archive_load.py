"""``fink archive load``: files of names become rows of HBase."""

from __future__ import annotations

from pathlib import Path

import pytest
from archived import empty_archive

from fink_broker.archive.hbase.reader import Archive
from fink_broker.cli import main
from fink_broker.portal import records


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Archive:
    archive = empty_archive()
    monkeypatch.setattr("fink_broker.archive.hbase.open.open_archive", lambda config: archive)
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    return archive


def run(*arguments: str) -> int:
    return main(["archive", "load", *arguments])


def test_names_are_loaded(archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.csv").write_text("ssnamenr,name,number\n8467,Benoitcarry,8467\nBenoitcarry,Benoitcarry,8467\n")
    assert run("sso", str(tmp_path / "names.csv")) == 0
    assert "4 rows of names of solar system objects" in capsys.readouterr().out
    found = dict(records.read(archive, records.SSO, records.ALL))
    assert sorted(found) == ["8467@0", "8467@1", "benoitcarry@0", "benoitcarry@1"]
    assert found["8467@0"] == {"i:ssnamenr": "8467", "i:name": "Benoitcarry", "i:number": "8467"}


def test_what_cannot_be_loaded_is_told(archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.csv").write_text("a\n1\n")
    assert run("stars", str(tmp_path / "names.csv")) == 1
    assert "Choose one of tns, sso, orbits, candidates." in " ".join(capsys.readouterr().err.split())
    assert run("tns", str(tmp_path / "names.csv")) == 4
    assert "has no column fullname" in " ".join(capsys.readouterr().err.split())
    assert run("tns", str(tmp_path / "absent.parquet")) == 4
