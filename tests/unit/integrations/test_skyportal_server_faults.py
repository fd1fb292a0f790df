"""The contract server: its pace, and the faults it has on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import requests
from skyportal_rules.faults import Limit
from unit.integrations.skyportal_questions import Portal


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.server.close()
    assert portal.server.crashes == []


def test_ten_requests_at_once_and_five_a_second_are_allowed() -> None:
    now = [0.0]
    limit = Limit(clock=lambda: now[0])
    assert [limit.allows("a") for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.allows("b")
    now[0] = 1.0
    assert [limit.allows("a") for _ in range(6)] == [True] * 5 + [False]


def test_the_limit_leaves_the_whitelisted_alone(portal: Portal) -> None:
    portal.server.add_user("hasty", "hasty-token", whitelisted=False)
    assert [portal.ask("GET /api/streams", by="hasty-token")[0] for _ in range(11)][-1] == 429
    assert [portal.ask("GET /api/streams")[0] for _ in range(20)] == [200] * 20


def session(portal: Portal) -> requests.Session:
    opened = requests.Session()
    opened.headers["Authorization"] = f"token {portal.server.token}"
    return opened


def test_connections_are_cut_before_or_after_a_request_is_carried_out(portal: Portal) -> None:
    url, faults = f"{portal.server.url}/api/candidates", portal.server.faults
    with session(portal) as client:
        for kind, stored in (("cut_before_next", 0), ("cut_after_next", 1)):
            setattr(faults, kind, 1)
            with pytest.raises(requests.ConnectionError):
                client.post(url, json=portal.candidate(), timeout=10)
            assert len(portal.server.state.candidates) == stored
        assert client.post(url, json=portal.candidate(), timeout=10).status_code == 200
    assert (portal.server.requests["POST /api/candidates"], faults.done) == (3, {"cut_before": 1, "cut_after": 1})


def test_errors_and_too_many_requests_come_as_asked_for(portal: Portal) -> None:
    faults = portal.server.faults
    faults.calls, faults.error_next, faults.too_many_next, faults.retry_after = {"GET /api/groups"}, 1, 1, 3
    with session(portal) as client:
        assert client.get(f"{portal.server.url}/api/streams", timeout=10).status_code == 200
        answers = [client.get(f"{portal.server.url}/api/groups", timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 429, 200]
    assert answers[1].headers["Retry-After"] == "3"
    assert portal.server.statuses[429] == 1


def test_a_token_expires_after_some_requests(portal: Portal) -> None:
    portal.server.faults.token_expires_after = 2
    assert [portal.ask("GET /api/streams")[0] for _ in range(4)] == [200, 200, 401, 401]
    portal.server.faults.token_expires_after = None
    assert portal.ask("GET /api/streams")[0] == 200


def test_a_server_that_is_down_comes_back_at_its_port_with_what_it_had(portal: Portal) -> None:
    with session(portal) as client:
        url = f"{portal.server.url}/api/streams"
        assert client.get(url, timeout=10).status_code == 200
        portal.server.go_down()
        with pytest.raises(requests.ConnectionError):
            client.get(url, timeout=10)
        portal.server.come_back()
        assert [row["name"] for row in client.get(url, timeout=10).json()["data"]] == ["Fink"]


def test_requests_are_answered_side_by_side_and_the_busiest_second_is_known(portal: Portal) -> None:
    portal.server.faults.slow_seconds = 0.2
    threads = [threading.Thread(target=portal.ask, args=("GET /api/streams",)) for _ in range(8)]
    before = portal.server.requests["GET /api/streams"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert portal.server.requests["GET /api/streams"] - before == 8
    assert portal.server.most_in_a_second >= 8
