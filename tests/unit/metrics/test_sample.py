"""A sample of a service: what is written can be read, and whatever else lies there is left out."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fink_broker.config.model import Config, StorageConfig
from fink_broker.metrics.reading import KEPT_SECONDS, forget_sample, read_samples
from fink_broker.metrics.sample import (
    FOLDER,
    LONGEST_FILE,
    LONGEST_LINE,
    MOST_LINES,
    Disk,
    ServiceSample,
    host_name,
)

NOW = time.time()
SAMPLE = ServiceSample(
    name="stream2raw",
    host="alpha",
    pid=12,
    since=NOW - 60,
    sampled=NOW,
    up=True,
    doing="running",
    cpu_percent=180.5,
    memory_mib=900.0,
    log=("one", "zwölf \N{GREEK SMALL LETTER MU}"),
    metrics="fink_x 1\n",
    disks=(Disk("/data", 10.0, 100.0),),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "online" / FOLDER).mkdir(parents=True)
    return Config(storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path))


def write(config: Config, *samples: ServiceSample) -> None:
    for sample in samples:
        (Path(config.storage.online) / sample.path).write_bytes(sample.to_json())


def test_what_is_written_is_read(config: Config) -> None:
    samples = [SAMPLE, replace(SAMPLE, host="beta"), replace(SAMPLE, name="api", ended=NOW, reason="done")]
    write(config, *samples)
    assert read_samples(config) == [samples[2], samples[0], samples[1]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"name": "x"}).encode(),
        SAMPLE.to_json().replace(b'"pid": 12', b'"pid": "12"'),
        SAMPLE.to_json().replace(b'"up": true', b'"up": NaN').replace(b'"memory_mib": 900.0', b'"memory_mib": NaN'),
        SAMPLE.to_json().replace(b'[["/data", 10.0, 100.0]]', b'[["/data", 10.0]]'),
        SAMPLE.to_json().replace(b'"log": [', b'"log": [3, '),
        b" " * (LONGEST_FILE + 1) + SAMPLE.to_json(),
    ],
)
def test_a_damaged_file_is_left_out_with_a_warning(
    config: Config, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(config, SAMPLE)
    (Path(config.storage.online) / FOLDER / "beta-api.json").write_bytes(content)
    damaged = Path(config.storage.online) / FOLDER / "beta-api.json"
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert read_samples(config) == [SAMPLE]
        assert caplog.text.count("beta-api.json is no sample of a service") == 1, "each look says it again"
        os.utime(damaged, ns=(1, 1))
        read_samples(config)
    assert caplog.text.count("beta-api.json is no sample of a service") == 2, "another damaged file is not told"


def test_files_that_are_being_written_and_old_ones_are_left_out(config: Config) -> None:
    write(config, replace(SAMPLE, sampled=NOW - KEPT_SECONDS - 1))
    (Path(config.storage.online) / FOLDER / ".alpha-api.json.tmp").write_bytes(b"{")
    assert read_samples(config) == []


def test_no_folder_and_no_storage_give_no_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    here, away = (
        Config(storage=StorageConfig(online=online, state=tmp_path))
        for online in (str(tmp_path / "none"), "nosuch://place/x")
    )
    for config in (away, away, here, away):  # it goes, comes back, goes again
        assert read_samples(config) == []
    assert caplog.text.count("nosuch://place/x cannot be read") == 2


def test_a_sample_is_small_whatever_a_service_says() -> None:
    long = replace(SAMPLE, log=("x" * 10_000,) * 5000, doing="y" * 10_000, metrics="z" * 10_000_000)
    assert len(long.to_json()) < LONGEST_FILE
    read = ServiceSample.from_json(long.to_json())
    assert (len(read.log), len(read.log[0]), read.metrics) == (MOST_LINES, LONGEST_LINE, "")


@pytest.mark.parametrize("host", ["../../etc", "a/b", "", ".", "x" * 5000, "näme"])
def test_a_host_of_any_name_has_its_file_in_the_folder(host: str) -> None:
    path = replace(SAMPLE, host=host).path
    folder, name = path.split("/")
    assert folder == FOLDER
    assert not name.startswith(".")
    assert len(name) < 250


def test_the_age_of_a_sample_is_never_negative() -> None:
    assert SAMPLE.age(NOW + 20) == pytest.approx(20)
    assert SAMPLE.age(NOW - 100) == 0


def test_a_service_of_this_host_is_forgotten(config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(config, SAMPLE, replace(SAMPLE, host=host_name()), replace(SAMPLE, host=host_name(), name="api"))
    forget_sample(config, "stream2raw")
    forget_sample(config, "stream2raw")
    assert {(sample.host, sample.name) for sample in read_samples(config)} == {
        ("alpha", "stream2raw"),
        (host_name(), "api"),
    }
    assert caplog.records == []
    forget_sample(Config(storage=StorageConfig(online="nowhere://x", state=tmp_path)), "api")
    assert "the sample of api in nowhere://x cannot be removed" in caplog.text
