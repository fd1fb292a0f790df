"""What must be there before anything is posted: made once, found afterwards, and said what is missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fink_skyportal import premises as premises_module
from fink_skyportal import taxonomy
from fink_skyportal.api import SkyPortal
from fink_skyportal.errors import PremisesMissing, Refused, Stopped
from fink_skyportal.premises import Wanted, prepare, wait_until_ready, with_filters_of_now
from skyportal_posts import OTHER_TOPIC, TOPIC, client, without_pauses
from skyportal_rules.state import RIGHTS, State
from skyportal_server import SkyPortalServer

TOPICS = [TOPIC, OTHER_TOPIC]
BOTH = pytest.mark.parametrize("wanted", [Wanted.microservice(TOPICS), Wanted.stand_alone(TOPICS)])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SkyPortalServer]:
    without_pauses(monkeypatch)
    with SkyPortalServer() as running:
        yield running
        assert running.crashes == []


@pytest.fixture
def api(server: SkyPortalServer) -> Iterator[SkyPortal]:
    with client(server) as made:
        yield made


def names(table: dict[int, dict[str, Any]]) -> list[str]:
    return sorted(row["name"] for row in table.values())


def made(state: State) -> list[list[str]]:
    return [names(state.streams), names(state.groups), names(state.filters), names(state.taxonomies)]


class TestFirstStart:
    def test_microservice(self, server: SkyPortalServer, api: SkyPortal) -> None:
        premises = prepare(api, Wanted.microservice(TOPICS))
        assert made(server.state) == [["Fink"], ["Fink", "Sitewide Group"], sorted(TOPICS), ["Fink Taxonomy"]]
        assert [row["version"] for row in server.state.taxonomies.values()] == ["1.1"]
        assert server.state.groups[premises.group_id]["streams"] == {premises.stream_id}
        assert premises.hierarchy == taxonomy.hierarchy()
        assert {len(ids) for ids in premises.filter_ids.values()} == {1}

    def test_stand_alone(self, server: SkyPortalServer, api: SkyPortal) -> None:
        prepare(api, Wanted.stand_alone(TOPICS, "Hunters"))
        assert made(server.state)[:3] == [["hunters_stream"], ["Hunters", "Sitewide Group"], sorted(TOPICS)]

    @BOTH
    def test_second_start_finds_everything(self, server: SkyPortalServer, api: SkyPortal, wanted: Wanted) -> None:
        first = prepare(api, wanted)
        asked = api.requests.copy()
        assert prepare(api, wanted) == first
        assert {call.split()[0] for call in (api.requests - asked)} == {"GET"}

    def test_new_topic_gets_a_filter(self, server: SkyPortalServer, api: SkyPortal) -> None:
        prepare(api, Wanted.microservice([TOPIC]))
        prepare(api, Wanted.microservice(TOPICS))
        assert names(server.state.filters) == sorted(TOPICS)

    def test_filter_of_an_earlier_version_goes_on(self, server: SkyPortalServer, api: SkyPortal) -> None:
        first = prepare(api, Wanted.stand_alone([TOPIC]))
        next(iter(server.state.filters.values()))["name"] = "fink_filter"
        again = prepare(api, Wanted.stand_alone(TOPICS))
        assert names(server.state.filters) == ["fink_filter"]
        assert again.filter_ids == dict.fromkeys(TOPICS, first.filter_ids[TOPIC])

    def test_taxonomy_of_another_version_is_replaced(self, server: SkyPortalServer, api: SkyPortal) -> None:
        api.post("/api/taxonomy", {"name": "Fink Taxonomy", "version": "1.0", "hierarchy": {"class": "Fink Taxonomy"}})
        premises = prepare(api, Wanted.microservice(TOPICS))
        latest = {row["version"]: row["isLatest"] for row in server.state.taxonomies.values()}
        assert latest == {"1.0": False, "1.1": True}
        assert server.state.taxonomies[premises.taxonomy_id]["version"] == "1.1"

    @BOTH
    def test_two_clients_at_once(self, server: SkyPortalServer, wanted: Wanted) -> None:
        found, barrier = [], threading.Barrier(2)

        def start() -> None:
            with client(server) as api:
                barrier.wait()
                found.append(prepare(api, wanted))

        threads = [threading.Thread(target=start) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 2
        assert {name: ids[0] for name, ids in found[0].filter_ids.items()} == {
            name: ids[0] for name, ids in found[1].filter_ids.items()
        }
        assert (found[0].group_id, found[0].stream_id) == (found[1].group_id, found[1].stream_id)
        assert len(server.state.taxonomies) == len(server.state.streams) == 1

    def test_lost_answers(self, server: SkyPortalServer, api: SkyPortal) -> None:
        server.faults.cut_after_probability = 0.3
        prepare(api, Wanted.microservice(TOPICS))
        assert server.faults.done["cut_after"] > 0
        assert made(server.state) == [["Fink"], ["Fink", "Sitewide Group"], sorted(TOPICS), ["Fink Taxonomy"]]


class TestInstrument:
    @pytest.mark.parametrize(
        ("there", "found"),
        [(("ZTF2", "ZTF"), "ZTF"), (("LSSTCam", "My ztf camera"), "My ztf camera"), (("CFH12k",), "CFH12k")],
    )
    def test_by_name_then_by_part(self, there: tuple[str, ...], found: str) -> None:
        with SkyPortalServer(instruments=there) as server, client(server) as api:
            number = prepare(api, Wanted.microservice(TOPICS)).instrument_ids["ZTF"]
            assert server.state.instruments[number]["name"] == found

    def test_none(self) -> None:
        with SkyPortalServer(instruments=("LSSTCam",)) as server, client(server) as api:
            with pytest.raises(PremisesMissing, match=r"error: instruments named ZTF or CFH12k does not exist"):
                prepare(api, Wanted.microservice(TOPICS))
            assert server.state.streams == {}


class TestRights:
    @pytest.mark.parametrize(
        ("right", "kind"), [("System admin", "stream"), ("Upload data", "group"), ("Post taxonomy", "taxonomy")]
    )
    def test_missing_right_is_named(self, server: SkyPortalServer, right: str, kind: str) -> None:
        user = server.add_user("weak", "weak-token", RIGHTS - {right})
        said = rf"no {kind} .*administrator.*“{right}”"
        with client(server, token=user.token) as weak, pytest.raises(PremisesMissing, match=said):
            prepare(weak, Wanted.microservice(TOPICS))

    def test_without_rights_what_is_there_is_enough(self, server: SkyPortalServer, api: SkyPortal) -> None:
        first = prepare(api, Wanted.microservice(TOPICS))
        user = server.add_user("weak", "weak-token", frozenset(), groups=(first.group_id,))
        server.state.streams[first.stream_id]["members"].add(user.id)
        with client(server, token=user.token) as weak:
            assert prepare(weak, Wanted.microservice(TOPICS)) == first

    def test_member_without_the_stream(self, server: SkyPortalServer, api: SkyPortal) -> None:
        group = api.post("/api/groups", {"name": "Fink"})["id"]
        server.add_user("guest", "guest-token", frozenset(), groups=(group,))
        api.post("/api/streams", {"name": "Fink"})
        with pytest.raises(PremisesMissing, match="ask its administrator to give the stream to all members"):
            prepare(api, Wanted.microservice(TOPICS))


class TestFiltersOfNow:
    def test_filters_of_other_groups_come_and_go(self, server: SkyPortalServer, api: SkyPortal) -> None:
        first = prepare(api, Wanted.microservice(TOPICS))
        group = api.post("/api/groups", {"name": "Hunters"})["id"]
        body = {"name": TOPIC, "stream_id": first.stream_id, "group_id": group}
        theirs = api.post("/api/filters", body)["id"]
        now = with_filters_of_now(api, first)
        assert now.filter_ids == {**first.filter_ids, TOPIC: (*first.filter_ids[TOPIC], theirs)}
        assert now.group_ids[TOPIC] == (first.group_id, group)
        assert now.all_group_ids == sorted((first.group_id, group))
        del server.state.filters[theirs]
        assert with_filters_of_now(api, now) == first

    def test_filter_on_another_stream_counts_for_nothing(self, server: SkyPortalServer, api: SkyPortal) -> None:
        first = prepare(api, Wanted.microservice(TOPICS))
        stream = api.post("/api/streams", {"name": "Elsewhere"})["id"]
        api.post("/api/filters", {"name": TOPIC, "stream_id": stream, "group_id": first.group_id})
        assert with_filters_of_now(api, first) == first

    def test_own_filter_that_was_removed_is_made_again(self, server: SkyPortalServer, api: SkyPortal) -> None:
        first = prepare(api, Wanted.microservice(TOPICS))
        server.state.filters.clear()
        assert with_filters_of_now(api, first).filter_ids.keys() == set(TOPICS)
        assert names(server.state.filters) == sorted(TOPICS)


class TestReady:
    def test_waits_and_says_so_once(self, server: SkyPortalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(premises_module, "READY_RETRY_SECONDS", 0.001)
        said: list[str] = []
        server.is_ready = False

        def say(text: str) -> None:
            said.append(text)
            server.is_ready = True

        with client(server, say=say) as api:
            wait_until_ready(api)
        assert said == [f"Waiting for SkyPortal at {server.url}."]

    def test_ends_when_told_to(self, server: SkyPortalServer) -> None:
        server.go_down()
        with client(server) as api, pytest.raises(Stopped):
            api.stop.set()
            wait_until_ready(api)


def test_call_that_is_refused_comes_through(server: SkyPortalServer, api: SkyPortal) -> None:
    with pytest.raises(Refused):
        api.get("/api/alerts")
