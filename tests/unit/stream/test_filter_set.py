"""The filters in force: whatever users' files do, the loop that asks for them does not stand still."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from fink_broker.config.model import Config, DistributionConfig, FiltersConfig, StorageConfig
from fink_broker.stream import filter_set
from fink_broker.stream.filter_set import FilterSet

HANGS = "import time\ntime.sleep(1000)\ndef f(roid): return roid == 3\n"
ALERTS = pa.table({"candid": [1, 2], "roid": [3, 0]})


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_set, "LOOK_SECONDS", 0.0)


def config(folder: Path) -> Config:
    return Config(
        storage=StorageConfig(online=str(folder), state=folder / "state"),
        filters=FiltersConfig(file=str(folder / "topics.toml"), sdss="none"),
        distribution=DistributionConfig(topics=["sso_ztf_candidates"]),
    )


def write(folder: Path, **functions: str) -> None:
    entries = [
        f'[[topic]]\nname = "{name}"\ndescription = "x"\nfunction = "{place}"\n' for name, place in functions.items()
    ]
    (folder / "topics.toml").write_text("".join(entries))


def longest_until(done: Callable[[], bool], seconds: float = 20.0) -> float:
    """Return how long a call took at most until one returned True."""
    end, longest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        started = time.monotonic()
        found = done()
        longest = max(longest, time.monotonic() - started)
        if found:
            return longest
        time.sleep(0.05)
    raise AssertionError("nothing came of it")


def test_others_are_in_force_when_their_functions_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "fine_module.py").write_text("def f(roid): return roid == 3\n")
    with FilterSet(config(tmp_path)) as filters:
        assert [entry.name for entry in filters.all] == ["sso_ztf_candidates"]
        write(tmp_path, mine="fine_module:f")
        assert longest_until(filters.refresh) < 1.0
        assert [entry.name for entry in filters.all] == ["sso_ztf_candidates", "mine"]
        verdicts = filters.begin(ALERTS).all()
    assert [verdict.passed.tolist() for verdict in verdicts] == [[True, False], [True, False]]


def test_imports_that_hang_stop_neither_the_loop_nor_the_end(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"hanging_{number}.py").write_text(HANGS)
    with FilterSet(config(tmp_path)) as filters:
        write(tmp_path, a="hanging_0:f")
        assert longest_until(lambda: filters.refresh() or filters._coming is not None) < 1.0
        time.sleep(1.5)  # until it hangs
        write(tmp_path, a="hanging_0:f", b="hanging_1:f")
        coming = filters._coming
        assert longest_until(lambda: filters.refresh() or filters._coming is not coming) < 1.0
        assert filters.begin(ALERTS).all()[0].passed.tolist() == [True, False]
        time.sleep(1.5)
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert not (tmp_path / "state" / "filters.json").exists(), "nobody is blamed for the end of the process"


def test_the_first_alerts_wait_for_imports_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_set, "IMPORT_SECONDS", 2.0)
    (tmp_path / "hanging.py").write_text(HANGS)
    write(tmp_path, a="hanging:f")
    with FilterSet(config(tmp_path)) as filters:
        started = time.monotonic()
        assert filters.begin(ALERTS).all()[0].passed.tolist() == [True, False]
        assert time.monotonic() - started < 5.0
