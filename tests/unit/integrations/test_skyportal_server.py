"""The contract server: each rule accepts what is right and refuses what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from skyportal_rules.state import RIGHTS
from unit.integrations.skyportal_questions import AT, HIERARCHY, Portal, png


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.server.close()
    assert portal.server.crashes == []


def refused(portal: Portal, call: str, body: dict, words: str, status: int = 400) -> None:
    answered, message = portal.ask(call, body)
    assert (answered, words in message) == (status, True), message
    assert portal.server.refusals[-1][1:] == (status, message)


def test_a_request_without_a_known_token_is_refused(portal: Portal) -> None:
    assert portal.ask("GET /api/streams")[0] == 200
    assert portal.ask("GET /api/streams", by=None)[0] == 401
    assert portal.ask("GET /api/streams", by="another")[0] == 401
    assert portal.ask("GET /api/sysinfo", by=None)[0] == 200


@pytest.mark.parametrize(
    ("call", "right"),
    [
        ("POST /api/streams", "System admin"),
        ("POST /api/groups", "Upload data"),
        ("POST /api/filters", "Upload data"),
        ("POST /api/taxonomy", "Post taxonomy"),
        ("POST /api/sources", "Upload data"),
        ("PUT /api/photometry", "Upload data"),
        ("POST /api/thumbnail", "Upload data"),
        ("POST /api/sources/ZTF1/annotations", "Annotate"),
        ("POST /api/classification", "Classify"),
    ],
)
def test_a_missing_right_is_named(portal: Portal, call: str, right: str) -> None:
    portal.server.add_user("clerk", "clerk-token", RIGHTS - {right})
    status, message = portal.ask(call, {"name": "x"}, "clerk-token")
    assert (status, right in message) == (403, True)
    assert portal.ask(call, {"name": "x"})[0] != 403


def test_what_is_no_call_is_not_found(portal: Portal) -> None:
    for call in ("GET /api/alerts", "POST /api/sysinfo", "GET /api/taxonomy/one", "GET /"):
        assert portal.ask(call)[0] == 404


@pytest.mark.parametrize("body", [b'{"name": NaN}', b'{"name": Infinity}', b"[1]", b"{", b"\xff"])
def test_a_body_that_is_not_a_json_object_is_refused(portal: Portal, body: bytes) -> None:
    assert portal.server.answer("POST", "/api/groups", portal.server.token, body)[0] == 400


def test_strict_calls_refuse_unknown_fields(portal: Portal) -> None:
    thumbnail = {"obj_id": "ZTF1", "data": png(16, 16), "ttype": "new"}
    bodies = {
        "POST /api/streams": {"name": "other"},
        "POST /api/filters": {"name": "f", "stream_id": portal.stream, "group_id": portal.group},
        "POST /api/taxonomy": {"name": "Fink", "version": "2", "hierarchy": HIERARCHY},
        "POST /api/thumbnail": thumbnail,
        "POST /api/classification": portal.classification(author_name="anyone"),
    }
    for call, body in bodies.items():
        refused(portal, call, {**body, "colour": "red"}, "Unknown field: colour")
        portal.ok(call, body)
    portal.ok("POST /api/groups", {"name": "tolerant", "colour": "red"})
    portal.ok("POST /api/sources/ZTF1/annotations", {"origin": "A", "data": {}, "colour": "red"})


def test_names_of_streams_groups_and_taxonomies_are_taken_once(portal: Portal) -> None:
    refused(portal, "POST /api/streams", {"name": "Fink"}, "already exists")
    words = "Group with name Fink already exists. Please select a new one."
    refused(portal, "POST /api/groups", {"name": "Fink"}, words)
    refused(portal, "POST /api/taxonomy", {"name": "Fink", "version": "1", "hierarchy": HIERARCHY}, "already exists")
    portal.ok("POST /api/taxonomy", {"name": "Fink", "version": "1.1", "hierarchy": HIERARCHY})
    latest = {row["version"]: row["isLatest"] for row in portal.ok("GET /api/taxonomy")}
    assert latest == {"1": False, "1.1": True}
    assert portal.ok(f"GET /api/taxonomy/{portal.taxonomy}")["version"] == "1"


def test_a_group_gets_a_stream_once_and_only_if_all_members_have_access(portal: Portal) -> None:
    path = f"POST /api/groups/{portal.group}/streams"
    member = portal.server.add_user("member", "member-token", RIGHTS - {"System admin"}, groups=(portal.group,))
    words = f"Not all users have stream access with ID {portal.stream}"
    refused(portal, path, {"stream_id": portal.stream}, words, 403)
    portal.server.state.streams[portal.stream]["members"].add(member.id)
    portal.ok(path, {"stream_id": portal.stream})
    refused(portal, path, {"stream_id": portal.stream}, "Specified stream is already associated with this group.")
    assert [row["name"] for row in portal.ok("GET /api/streams")] == ["Fink"]
    assert [row["name"] for row in portal.ok("GET /api/groups")["user_groups"]] == ["Sitewide Group", "Fink"]
    assert portal.ask("GET /api/filters", by="member-token")[1][0]["name"] == "fink_sn"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": "ZTF 2"}, "characters"),
        ({"id": None}, "Missing required field: id"),
        ({"ra": None}, "Missing required field: ra"),
        ({"dec": 91}, "dec"),
        ({"filter_ids": []}, "At least one valid filter ID must be provided."),
        ({"filter_ids": [99999]}, "At least one valid filter ID must be provided."),
        ({"passed_at": "yesterday"}, "passed_at"),
        ({"passing_alert_id": "1"}, "passing_alert_id"),
    ],
)
def test_a_candidate_that_is_wrong_is_refused_whole(portal: Portal, changed: dict, words: str) -> None:
    refused(portal, "POST /api/candidates", portal.candidate(**changed), words)
    assert portal.server.state.candidates == {}
    assert list(portal.server.state.objects) == ["ZTF1"]


def test_a_candidate_is_there_once_and_an_older_one_is_refused(portal: Portal) -> None:
    first = portal.ok("POST /api/candidates", portal.candidate(filter_ids=[portal.filter, 99999]))
    assert len(first["ids"]) == 1
    assert portal.ok("POST /api/candidates", portal.candidate(passed_at=AT + "+00:00")) == first
    assert portal.ok("POST /api/candidates", portal.candidate(passed_at="2023-10-19T00:00:00")) != first
    refused(portal, "POST /api/candidates", portal.candidate(passed_at="2023-10-17T00:00:00"), "passed_at is before")
    assert len(portal.server.state.candidates) == 2


def test_sources_are_saved_to_groups_the_caller_may_see(portal: Portal) -> None:
    body = {"id": "ZTF1", "group_ids": [portal.group]}
    assert portal.ok("POST /api/sources", body) == {"id": "ZTF1", "saved_to_groups": [portal.group]}
    assert len(portal.server.state.objects) == 1
    other = portal.server.state.add_group("Others", set())
    portal.ok("POST /api/sources", {"id": "ZTF1", "group_ids": [other]})
    portal.server.add_user("member", "member-token", RIGHTS - {"System admin"}, groups=(portal.group,))
    assert portal.ask("POST /api/sources", {"id": "ZTF1", "group_ids": [other]}, "member-token")[0] == 400
    portal.server.add_user("nobody", "nobody-token")
    assert portal.ask("POST /api/sources", {"id": "ZTF1"}, "nobody-token")[0] == 400
    refused(portal, "POST /api/sources", {"id": "ZTF3"}, "ra, dec")


def test_photometry_is_updated_in_place_and_posted_once(portal: Portal) -> None:
    for body in (portal.flux(), portal.magnitude()):
        first = portal.ok("PUT /api/photometry", body)
        assert len(first["ids"]) == 2
        assert portal.ok("PUT /api/photometry", body)["ids"] == first["ids"]
        refused(portal, "POST /api/photometry", body, "already exists")
    assert len(portal.server.state.photometry) == 4
    portal.ok("PUT /api/photometry", portal.flux(mjd=[1.5] * 10_000, flux=1.0, fluxerr=1.0))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"obj_id": "ZTF9"}, "Row 0: obj_id"),
        ({"mjd": [60000.1]}, "same length"),
        ({"mjd": [1.5] * 10_001, "flux": 1.0, "fluxerr": 1.0}, "10001 rows"),
        ({"fluxerr": [1.0, None]}, "Row 1: fluxerr"),
        ({"flux": ["1", None]}, "Row 0: flux"),
        ({"zp": None}, "zp"),
        ({"mag": 19.0}, "either flux"),
        ({"filter": "g"}, "filter"),
        ({"magsys": "st"}, "magsys"),
        ({"instrument_id": 0}, "instrument_id"),
        ({"group_ids": [0]}, "group_ids"),
        ({"stream_ids": [0]}, "stream_ids"),
    ],
)
def test_photometry_that_is_wrong_is_refused_whole(portal: Portal, changed: dict, words: str) -> None:
    refused(portal, "PUT /api/photometry", portal.flux(**changed), words)
    assert portal.server.state.photometry == {}


def test_a_magnitude_that_is_null_needs_its_limit(portal: Portal) -> None:
    refused(portal, "PUT /api/photometry", portal.magnitude(limiting_mag=[20.5, None]), "limiting_mag")
    refused(portal, "PUT /api/photometry", portal.magnitude(magerr=0.1), "magerr")


def test_an_object_has_one_annotation_of_an_origin(portal: Portal) -> None:
    path = "/api/sources/ZTF1/annotations"
    number = portal.ok(f"POST {path}", {"origin": "Fink Science", "data": {"rate": 1}})["annotation_id"]
    refused(portal, f"POST {path}", {"origin": "Fink Science", "data": {}}, "already exists")
    refused(portal, f"POST {path}", {"origin": " Fink", "data": {}}, "origin")
    refused(portal, f"POST {path}", {"origin": "Other", "data": [1]}, "data")
    refused(portal, f"POST {path}", {"origin": "Other", "data": {}, "group_ids": [0]}, "group_ids")
    refused(portal, "POST /api/sources/ZTF9/annotations", {"origin": "Fink", "data": {}}, "ZTF9", 404)
    portal.ok(f"PUT {path}/{number}", {"data": {"rate": 2}})
    assert [row["data"] for row in portal.ok(f"GET {path}")] == [{"rate": 2}]
    refused(portal, f"PUT {path}/0", {"data": {}}, "0", 403)
    portal.ok("POST /api/candidates", portal.candidate())
    refused(portal, f"PUT /api/sources/ZTF2/annotations/{number}", {"data": {}}, "path")
    portal.server.add_user("other", "other-token")
    assert portal.ask(f"PUT {path}/{number}", {"data": {}}, "other-token")[0] == 403


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"classification": "Nova"}, "not in the allowed classes"),
        ({"taxonomy_id": 0}, "taxonomy"),
        ({"probability": 1.1}, "probability"),
        ({"obj_id": "ZTF9"}, "ZTF9"),
        ({"group_ids": [0]}, "group_ids"),
        ({"ml": "yes"}, "ml"),
    ],
)
def test_a_classification_that_is_wrong_is_refused(portal: Portal, changed: dict, words: str) -> None:
    refused(portal, "POST /api/classification", portal.classification(**changed), words)
    body = portal.classification(probability=0.5)
    number = portal.ok("POST /api/classification", body)["classification_id"]
    refused(portal, f"PUT /api/classification/{number}", portal.classification(**changed), words)
    (row,) = portal.ok("GET /api/sources/ZTF1/classifications")
    assert row.items() >= {**body, "author_name": "fink_bot"}.items()


def test_only_its_author_changes_a_classification(portal: Portal) -> None:
    number = portal.ok("POST /api/classification", portal.classification())["classification_id"]
    changed = portal.classification(classification="Kilonova candidate")
    portal.server.add_user("other", "other-token")
    assert portal.ask(f"PUT /api/classification/{number}", changed, "other-token")[0] == 403
    assert portal.ok(f"PUT /api/classification/{number}", changed) == {"classification_id": number}
    assert [row["classification"] for row in portal.server.state.classifications.values()] == ["Kilonova candidate"]


@pytest.mark.parametrize("hierarchy", [{}, {"class": "a", "subclasses": ["b"]}, {"class": "a", "name": "b"}, "a"])
def test_a_hierarchy_that_is_none_is_refused(portal: Portal, hierarchy: Any) -> None:
    refused(portal, "POST /api/taxonomy", {"name": "x", "version": "1", "hierarchy": hierarchy}, "")
    refused(portal, "POST /api/taxonomy", {"name": "x", "version": 1, "hierarchy": HIERARCHY}, "version")


@pytest.mark.parametrize("data", [png(15, 16), png(16, 501), png(16, 16)[:-8], "not base64!", ""])
def test_a_thumbnail_that_is_no_small_image_is_refused(portal: Portal, data: str) -> None:
    body = {"obj_id": "ZTF1", "ttype": "sub", "data": png(500, 16)}
    portal.ok("POST /api/thumbnail", body)
    refused(portal, "POST /api/thumbnail", {**body, "data": data}, "data")
    refused(portal, "POST /api/thumbnail", {**body, "ttype": "old"}, "ttype")
