"""Posting: all that an alert has gets to SkyPortal, once, whatever happens on the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fink_skyportal.api import SkyPortal
from fink_skyportal.candidate import Candidate, Classification
from fink_skyportal.errors import RightMissing, Stopped, TokenRefused
from fink_skyportal.pace import Pace
from fink_skyportal.poster import Options, Poster
from skyportal_posts import OTHER_TOPIC, TOPIC, candidate, client, png, premises_of, row, without_pauses
from skyportal_rules.faults import Limit
from skyportal_rules.state import RIGHTS
from skyportal_server import SkyPortalServer


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


def poster(api: SkyPortal, **options: Any) -> Poster:
    return Poster(api, premises_of(api), Options(**({"author_name": "fink_bot"} | options)), api.stop)


def requests_of(api: SkyPortal, posting: Poster, *batch: Candidate) -> Counter[str]:
    """Post and return the requests that took."""
    before = Counter(api.requests)
    assert [outcome.refusal for outcome in posting.post(batch)] == [None] * len(batch)
    return Counter(api.requests) - before


def contents(server: SkyPortalServer) -> dict[str, Any]:
    """Return what is stored, without numbers that depend on the way there."""
    state = server.state
    return {
        "candidates": {(r["obj_id"], r["filter_id"], r["passed_at"]) for r in state.candidates.values()},
        "candidate_rows": len(state.candidates),
        "sources": set(state.sources),
        "photometry": Counter((r["obj_id"], r["mjd"], r["flux"]) for r in state.photometry.values()),
        "annotations": sorted((r["obj_id"], str(r["data"])) for r in state.annotations.values()),
        "classes": sorted((r["obj_id"], r["classification"]) for r in state.classifications.values()),
        "pictures": {(r["obj_id"], r["ttype"]) for r in state.thumbnails.values()},
    }


class TestRequests:
    def test_new_object_takes_these(self, server: SkyPortalServer, api: SkyPortal) -> None:
        assert requests_of(api, poster(api), candidate()) == {
            "GET annotations": 1,
            "POST sources": 1,
            "POST candidates": 1,
            "POST thumbnail": 3,
            "PUT photometry": 1,
            "POST classification": 1,
            "POST annotations": 1,
        }
        assert len(server.state.photometry) == 2
        (annotation,) = server.state.annotations.values()
        assert (annotation["origin"], annotation["data"]["nalerthist"]) == ("Fink Science", 2)

    def test_known_object_takes_three(self, api: SkyPortal) -> None:
        posting = poster(api)
        posting.post([candidate()])
        assert requests_of(api, posting, candidate(day=1)) == {
            "POST candidates": 1,
            "PUT photometry": 1,
            "PUT annotations": 1,
        }

    def test_object_known_before_the_start_is_asked_for_once(self, server: SkyPortalServer, api: SkyPortal) -> None:
        poster(api).post([candidate()])
        assert requests_of(api, poster(api), candidate(day=1)) == {
            "GET annotations": 1,
            "POST candidates": 1,
            "PUT photometry": 1,
            "GET classifications": 1,
            "PUT annotations": 1,
        }
        assert len(server.state.thumbnails) == 3

    def test_objects_of_a_batch_share_their_photometry(self, api: SkyPortal) -> None:
        batch = [candidate(f"ZTF23aaaaa{letter}") for letter in "abcdefghijklmnopqrst"]
        assert requests_of(api, poster(api), *batch)["PUT photometry"] == 1

    def test_photometry_never_has_more_rows_than_allowed(
        self, server: SkyPortalServer, api: SkyPortal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fink_skyportal.poster.ROWS_OF_A_REQUEST", 100)
        many = tuple(row(60000.0 + number) for number in range(60))
        taken = requests_of(api, poster(api), *(candidate(f"ZTF23a{n}", photometry=many) for n in range(3)))
        assert (taken["PUT photometry"], len(server.state.photometry)) == (3, 180)

    def test_alerts_of_an_object_in_one_batch_are_annotated_once(self, server: SkyPortalServer, api: SkyPortal) -> None:
        batch = [candidate(day=2), candidate(day=0), candidate(day=1)]
        taken = requests_of(api, poster(api), *batch)
        assert (taken["POST candidates"], taken["POST annotations"], taken["PUT annotations"]) == (3, 1, 0)
        assert (taken["POST sources"], taken["POST thumbnail"]) == (1, 3)
        assert [r["data"]["nalerthist"] for r in server.state.annotations.values()] == [4]
        times = [r["passed_at"] for r in server.state.candidates.values()]
        assert times == sorted(times)


class TestAgain:
    def test_the_same_alerts_again_change_nothing(self, server: SkyPortalServer, api: SkyPortal) -> None:
        batch = [candidate(), candidate("ZTF23bbbbbbb", topic=OTHER_TOPIC)]
        poster(api).post(batch)
        before = contents(server)
        assert [outcome.refusal for outcome in poster(api).post(batch)] == [None, None]
        assert contents(server) == before
        assert len(server.state.thumbnails) == 6

    def test_killed_at_any_request_and_repeated(self, server: SkyPortalServer) -> None:
        """A client that is killed after its nth request, for all n, and started again: nothing is missing or double."""

        class Killed(BaseException):
            pass

        batch = [candidate(), candidate(day=1)]
        with client(server) as api:
            expected_requests = sum(requests_of(api, poster(api), *batch).values())
        for survived in range(expected_requests):
            with SkyPortalServer() as fresh, client(fresh) as api:
                posting = poster(api, connections=1)
                sent, left = api._send, [survived]

                def send(method: str, path: str, content: bytes | None, sent: Any = sent, left: Any = left) -> Any:
                    answer = sent(method, path, content)
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
                    return answer

                api._send = send
                run = posting._workers.run
                posting._workers.run = lambda jobs, **_: [job() for job in jobs] and None
                with pytest.raises(Killed):
                    posting.post(batch)
                api._send, posting._workers.run = sent, run
                poster(api).post(batch)
                assert contents(fresh) == contents(server), survived

    @pytest.mark.parametrize("seed", range(3))
    def test_lost_answers_and_errors(self, server: SkyPortalServer, api: SkyPortal, seed: int) -> None:
        batch = [candidate(f"ZTF23aaaaa{letter}", day) for letter in "abcde" for day in range(2)]
        poster(api).post(batch)
        with SkyPortalServer() as troubled, client(troubled) as other:
            posting = poster(other)
            faults = troubled.faults
            faults._chance = random.Random(seed)
            faults.error_probability = faults.too_many_probability = faults.cut_before_probability = 0.1
            faults.cut_after_probability = 0.2
            assert [outcome.refusal for outcome in posting.post(batch)] == [None] * len(batch)
            assert faults.done["cut_after"] > 0
            assert contents(troubled) == contents(server)

    def test_class_whose_answer_was_lost_is_not_posted_again(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api)
        server.faults.calls, server.faults.cut_after_next = {"POST /api/classification"}, 1
        posting.post([candidate()])
        assert len(server.state.classifications) == 1

    def test_candidate_an_older_version_has_already(self, api: SkyPortal, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before 2026 SkyPortal refused the same candidate twice, and with it the one of another filter."""
        posting = poster(api)
        posting.post([candidate()])
        own = posting._objects.premises.filter_ids[TOPIC][0]
        posting._objects.premises.filter_ids[TOPIC] = (own, own + 1)
        accepted: list[list[int]] = []

        def post(path: str, body: dict[str, Any], already: Any = None) -> Any:
            if path == "/api/candidates" and own in body["filter_ids"]:
                return SkyPortal.post(api, path, {**body, "passed_at": "2000-01-01T00:00:00"}, already)
            if path == "/api/candidates":
                accepted.append(body["filter_ids"])
                return {"ids": [1]}
            return SkyPortal.post(api, path, body, already)

        monkeypatch.setattr(api, "post", post)
        assert [outcome.refusal for outcome in posting.post([candidate()])] == [None]
        assert accepted == [[own + 1]]


class TestClassAndAnnotation:
    def test_class_is_changed_only_if_it_is_another(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api)
        posting.post([candidate()])
        taken = requests_of(api, posting, candidate(day=1, classification=Classification("Kilonova candidate", 0.75)))
        assert taken["PUT classification"] == 1
        (stored,) = server.state.classifications.values()
        assert (stored["classification"], stored["probability"]) == ("Kilonova candidate", 0.75)
        taken = requests_of(api, posting, candidate(day=2, classification=Classification("Kilonova candidate", 0.5)))
        assert (taken["PUT classification"], stored["probability"]) == (1, 0.5)

    def test_class_of_somebody_else_stays(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api)
        posting.post([candidate()])
        (own,) = server.state.classifications.values()
        own |= {"author_id": 999, "author_name": "a scientist", "classification": "Tracklet"}
        next(iter(server.state.annotations.values()))["data"] = {}
        poster(api).post([candidate(day=1)])
        classes = sorted((r["author_name"], r["classification"]) for r in server.state.classifications.values())
        assert classes == [("a scientist", "Tracklet"), ("fink_bot", "SN candidate")]

    def test_own_class_is_found_without_the_owners_name(self, server: SkyPortalServer, api: SkyPortal) -> None:
        poster(api, author_name="").post([candidate()])
        poster(api, author_name="").post([candidate(day=1, classification=Classification("Ambiguous", None))])
        assert [r["classification"] for r in server.state.classifications.values()] == ["Ambiguous"]

    @pytest.mark.parametrize(("name", "stored"), [("QSO", ["(TNS) QSO"]), ("RRLyr", ["(SIMBAD) RRLyr"]), ("?", [])])
    def test_class_by_its_name_in_the_taxonomy(
        self, server: SkyPortalServer, api: SkyPortal, name: str, stored: list[str]
    ) -> None:
        requests_of(api, poster(api), candidate(classification=Classification(name, None)))
        assert [r["classification"] for r in server.state.classifications.values()] == stored

    def test_class_and_annotation_that_somebody_deleted_are_made_anew(
        self, server: SkyPortalServer, api: SkyPortal
    ) -> None:
        posting = poster(api)
        posting.post([candidate()])
        server.state.classifications.clear()
        server.state.annotations.clear()
        server.state.annotation_ids.clear()
        requests_of(api, posting, candidate(day=1, classification=Classification("Ambiguous", None)))
        assert [r["classification"] for r in server.state.classifications.values()] == ["Ambiguous"]
        assert [r["data"]["nalerthist"] for r in server.state.annotations.values()] == [3]

    def test_late_alert_does_not_undo_a_later_one(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api)
        posting.post([candidate(day=3)])
        late = candidate(classification=Classification("Ambiguous", None))
        assert [outcome.refusal for outcome in posting.post([late])] == [None]
        assert [r["data"]["nalerthist"] for r in server.state.annotations.values()] == [5]
        assert [r["classification"] for r in server.state.classifications.values()] == ["SN candidate"]


class TestGroupsAndSources:
    def test_groups_with_a_filter_of_the_topic_get_posts_too(self, server: SkyPortalServer, api: SkyPortal) -> None:
        premises = premises_of(api)
        group = api.post("/api/groups", {"name": "Supernova hunters"})["id"]
        body = {"name": TOPIC, "stream_id": premises.stream_id, "group_id": group}
        theirs = api.post("/api/filters", body)["id"]
        poster(api).post([candidate(), candidate("ZTF23bbbbbbb", topic=OTHER_TOPIC)])
        filters = sorted((r["obj_id"], r["filter_id"] == theirs) for r in server.state.candidates.values())
        assert filters == [("ZTF23aaaaaaa", False), ("ZTF23aaaaaaa", True), ("ZTF23bbbbbbb", False)]
        assert ("ZTF23aaaaaaa", group) in server.state.sources
        assert ("ZTF23bbbbbbb", group) not in server.state.sources

    @pytest.mark.parametrize(("save", "posts"), [("always", [1, 1]), ("new", [1, 0]), ("never", [0, 0])])
    def test_sources_as_asked(self, api: SkyPortal, save: str, posts: list[int]) -> None:
        posting = poster(api, save_sources=save)
        assert [requests_of(api, posting, candidate(day=day))["POST sources"] for day in range(2)] == posts


class TestRefused:
    def test_one_bad_light_curve_is_refused_alone(self, server: SkyPortalServer, api: SkyPortal) -> None:
        batch = [candidate(f"ZTF23aaaaa{letter}") for letter in "abcdefgh"]
        batch[5] = candidate("ZTF23aaaaaf", photometry=(row(60236.0, fluxerr=None),))
        outcomes = poster(api).post(batch)
        assert [outcome.refusal is None for outcome in outcomes] == [True] * 5 + [False] + [True] * 2
        refusal = outcomes[5].refusal
        assert (refusal.request, refusal.status) == ("PUT /api/photometry", 400)
        assert "fluxerr" in refusal.answer
        assert {r["obj_id"] for r in server.state.annotations.values()} == {c.object_id for c in batch} - {
            "ZTF23aaaaaf"
        }

    def test_value_that_is_no_json_is_refused_unsent(self, api: SkyPortal) -> None:
        good, bad = candidate(), candidate("ZTF23bbbbbbb", annotation={"obstime (jd)": float("nan")})
        outcomes = poster(api).post([good, bad])
        assert outcomes[0].refusal is None
        assert (outcomes[1].refusal.request, outcomes[1].refusal.status) == (
            "POST /api/sources/ZTF23bbbbbbb/annotations",
            0,
        )

    def test_picture_that_is_refused_is_left_out(self, server: SkyPortalServer, api: SkyPortal) -> None:
        said: list[str] = []
        api.say = said.append
        requests_of(api, poster(api), candidate(thumbnails=lambda: {"new": png(8), "ref": png()}))
        assert [r["ttype"] for r in server.state.thumbnails.values()] == ["ref"]
        assert any("thumbnail new" in text for text in said)

    def test_code_that_fails_refuses_the_alert_only(self, api: SkyPortal) -> None:
        def broken() -> dict[str, str]:
            raise IndexError("no image")

        outcomes = poster(api).post([candidate(thumbnails=broken), candidate("ZTF23bbbbbbb")])
        assert [str(outcome.refusal) for outcome in outcomes] == ["unexpected IndexError: no image", "None"]

    def test_mistake_of_the_client_itself_does_not_look_like_a_stop(
        self, api: SkyPortal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        posting = poster(api)
        monkeypatch.setattr(posting, "_photometry", lambda alerts: {}["mjd"])
        with pytest.raises(KeyError):
            posting.post([candidate()])

    def test_passed_at_that_is_no_time_is_refused(self, api: SkyPortal) -> None:
        (outcome,) = poster(api).post([candidate(passed_at="yesterday")])
        assert "passed_at: not a time" in outcome.refusal.answer

    def test_topic_without_a_filter(self, api: SkyPortal) -> None:
        (outcome,) = poster(api).post([candidate(topic="fink_vra_ztf")])
        assert "no filter for the topic fink_vra_ztf" in outcome.refusal.answer

    @pytest.mark.parametrize("right", ["Annotate", "Classify", "Upload data"])
    def test_missing_right_ends_posting_and_is_named(self, server: SkyPortalServer, api: SkyPortal, right: str) -> None:
        premises = premises_of(api)
        user = server.add_user("weak", "weak-token", RIGHTS - {right}, groups=(premises.group_id,))
        with client(server, token=user.token) as weak, pytest.raises(RightMissing) as raised:
            Poster(weak, premises, Options(save_sources="never"), weak.stop).post([candidate()])
        assert f"lacks the right “{right}”" in str(raised.value)
        assert "weak-token" not in str(raised.value)

    def test_annotation_of_somebody_else_refuses_the_alert_only(self, server: SkyPortalServer, api: SkyPortal) -> None:
        poster(api).post([candidate()])
        next(iter(server.state.annotations.values()))["author_id"] = 999
        outcomes = poster(api).post([candidate(day=1), candidate("ZTF23bbbbbbb")])
        assert [outcome.refusal and outcome.refusal.status for outcome in outcomes] == [403, None]

    def test_expired_token_ends_posting(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api)
        server.faults.token_expires_after = 4
        with pytest.raises(TokenRefused):
            posting.post([candidate(f"ZTF23aaaaa{letter}") for letter in "abc"])


class TestStop:
    def test_what_was_begun_is_completed(self, server: SkyPortalServer, api: SkyPortal) -> None:
        posting = poster(api, connections=1)
        posting._at_once = 1
        first = candidate(thumbnails=lambda: api.stop.set() or {})
        with pytest.raises(Stopped) as stopped:
            posting.post([first, candidate("ZTF23bbbbbbb")])
        assert [(o.candidate, o.refusal) for o in stopped.value.outcomes] == [(first, None)]
        assert list(server.state.objects) == [first.object_id]
        assert len(server.state.annotations) == 1

    def test_server_that_hangs_is_left_behind(self, server: SkyPortalServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fink_skyportal.poster.GRACE_SECONDS", 0.05)
        with client(server) as api:
            posting = poster(api)
            server.faults.slow_seconds = 3.0
            api.stop.set()
            with pytest.raises(Stopped):
                posting._workers.run([lambda: api.get("/api/groups")])
            assert api.leave.is_set()

    def test_limited_pace_is_kept(self) -> None:
        with SkyPortalServer(whitelisted=False) as limited, client(limited, pace=Pace(50.0, 10)) as api:
            limited._limit = Limit(50.0, 10)
            poster(api).post([candidate(f"ZTF23aaaaa{letter}") for letter in "abcd"])
            assert sum(api.requests.values()) > 40
            assert limited.statuses[429] == 0
