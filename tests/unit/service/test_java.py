"""Which Java is used, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink_broker.errors import JavaMissing
from fink_broker.service.java import find_java


def make_java(home: Path, release: str | None, prints: str = "") -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{prints}' >&2\n")
    java.chmod(0o755)
    if release is not None:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    return java


@pytest.mark.parametrize("release", ["17.0.15", "21", "26-ea"])
def test_takes_the_java_of_java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    java = make_java(tmp_path / "jdk", release)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == java


@pytest.mark.parametrize(("release", "major"), [("1.8.0_392", 8), ("11.0.2", 11), ("16", 16)])
def test_refuses_an_old_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, major: int) -> None:
    make_java(tmp_path / "jdk", release)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(JavaMissing, match=f"is Java {major}, but Spark, Kafka and HBase need Java 17 or newer"):
        find_java()


def test_asks_the_program_where_there_is_no_release_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = make_java(tmp_path / "jdk", None, 'openjdk version "18.0.1" 2022')
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{java.parent}:/bin:/usr/bin")
    assert find_java() == java


def test_says_how_to_install_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaMissing, match="No Java was found") as error:
        find_java()
    assert "openjdk-17" in error.value.hint
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaMissing, match=r"JAVA_HOME is .* no bin/java"):
        find_java()
