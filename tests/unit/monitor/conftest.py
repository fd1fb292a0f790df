"""A night of commits, and boards over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from board_night import Clock, MadeUpNight

from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.monitor.board import Board


@pytest.fixture
def night(tmp_path: Path) -> MadeUpNight:
    return MadeUpNight(str(tmp_path / "online"))


@pytest.fixture
def make_board(tmp_path: Path) -> Callable[..., Board]:
    def make(clock: Clock | None = None, local=None) -> Board:
        storage = StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state", warn_free_gib=0)
        return Board(Config(storage=storage, kafka=KafkaConfig(servers="127.0.0.1:1")), local, {}, clock or Clock())

    return make
