from __future__ import annotations

import resource
from typing import Any

import pytest

from fink_broker.portal.connections import MOST_CONNECTIONS, OTHER_FILES, Connections, most_connections


class Transport:
    def __init__(self) -> None:
        self.is_broken = False

    def abort(self) -> None:
        self.is_broken = True


class Connection:
    def __init__(self, network: str) -> None:
        self.network = network
        self.transport = Transport()


def waiting(connections: Connections, network: str, count: int) -> list[Any]:
    made: list[Any] = [Connection(network) for _ in range(count)]
    for each in made:
        assert connections.admit(each)
        connections.wait(each)
    return made


def test_the_one_that_waited_longest_makes_room() -> None:
    connections = Connections(10)
    first = waiting(connections, "a", 4)
    connections.work(first[0])
    new: Any = Connection("a")
    assert connections.admit(new)
    assert [each.transport.is_broken for each in first] == [False, True, False, False]
    assert len(connections) == 4


def test_where_all_work_there_is_no_room() -> None:
    connections = Connections(10)
    made = waiting(connections, "a", 4)
    for each in made:
        connections.work(each)
    new: Any = Connection("a")
    assert not connections.admit(new)
    assert connections.admit(Connection("b"))  # type: ignore[arg-type]
    connections.forget(made[0])
    assert connections.admit(new)
    assert not any(each.transport.is_broken for each in made)


def test_of_a_full_server_the_address_with_most_gives_way() -> None:
    connections = Connections(10)
    few, many, others = waiting(connections, "a", 2), waiting(connections, "b", 4), waiting(connections, "c", 4)
    waiting(connections, "d", 1)
    broken = [each.network for each in [*few, *many, *others] if each.transport.is_broken]
    assert broken in (["b"], ["c"])
    assert len(connections) == 10


def test_nothing_is_kept_of_connections_that_ended() -> None:
    connections = Connections(10)
    for network in map(str, range(100)):
        for each in waiting(connections, network, 3):
            connections.forget(each)
            connections.forget(each)
    assert len(connections) == 0
    assert vars(connections)["_of"] == vars(connections)["_waiting"] == {}


@pytest.mark.parametrize(
    ("files", "most"),
    [(1024, 1024 - OTHER_FILES), (10**6, MOST_CONNECTIONS), (resource.RLIM_INFINITY, MOST_CONNECTIONS)],
)
def test_open_files_are_left_for_the_archive(monkeypatch: pytest.MonkeyPatch, files: int, most: int) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert most_connections() == most
