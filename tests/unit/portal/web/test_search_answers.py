"""What a search asks of the API and makes of its answers; the API is a stand-in that notes what it is asked."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from fink_broker.config import Config
from fink_broker.portal.client import ApiError
from fink_broker.portal.dates import jd_of, parse_date
from fink_broker.portal.web import routing
from fink_broker.portal.web.pages import home
from fink_broker.portal.web.search import bar, classes, suggestions, tonight
from fink_broker.portal.web.search.actions import MOST_ROWS, Results, ask, question_of
from fink_broker.portal.web.search.grammar import LONGEST, parse
from fink_broker.portal.web.search.names import Naming, named
from fink_broker.portal.web.search.rules import Action, action_of, criteria
from fink_broker.portal.web.search.understanding import understand
from fink_broker.portal.web.site import Site, Visit

CLASSES = {
    "Fink classifiers": ["Early SN Ia candidate", "SN candidate", "Ambiguous"],
    "Cross-match with TNS": ["(TNS) SN Ia"],
    "SIMBAD": ["(SIMBAD) RRLyr"],
}
TNS_ROW = {"d:fullname": "SN 2021co", "d:internalname": "ZTF21aaabcde", "d:ra": "10.5", "d:declination": "-2.25",
           "d:type": "SN Ia", "d:redshift": "0.03"}  # fmt: skip


class StandInApi:
    """Answers from tables; what it has no answer for is away."""

    def __init__(self, rows: Any = None, documents: dict[str, Any] | None = None) -> None:
        self.given, self.documents = rows, {"classes": CLASSES, **(documents or {})}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        self.asked.append((route, arguments))
        if isinstance(self.given, ApiError):
            raise self.given
        return pd.DataFrame(self.given if self.given is not None else [])

    def document(self, route: str, /, **arguments: Any) -> Any:
        self.asked.append((route, arguments))
        key = arguments.get("resolver", route)
        found = self.documents.get(f"{key} reverse" if "reverse" in arguments else key, ApiError("It is away.", 424))
        if isinstance(found, ApiError):
            raise found
        return found


def asked_for(text: str, api: StandInApi) -> Results:
    action = action_of(parse(text))
    assert action is not None
    return ask(action, api)


@pytest.mark.parametrize(
    ("text", "route", "arguments"),
    [
        ("10 -2 r=1m", "conesearch", {"ra": 10.0, "dec": -2.0, "radius": 60.0}),
        (
            "10 -2 after=2024-09-01 window=2",
            "conesearch",
            {"ra": 10.0, "dec": -2.0, "radius": 10.0, "startdate": "2024-09-01", "stopdate": "2024-09-03"},
        ),
        (
            "10 -2 before=2024-09-03 window=2",
            "conesearch",
            {"ra": 10.0, "dec": -2.0, "radius": 10.0, "startdate": "2024-09-01", "stopdate": "2024-09-03"},
        ),
        ("ZTF21ab", "names", {"prefix": "ZTF21ab", "n": 100}),
        ("ZTF21abfmbix, ZTF19aaosfcb", "explorer", {"objectId": "ZTF21abfmbix,ZTF19aaosfcb"}),
        ("TRCK_2021", "tracklet", {"id": "TRCK_2021"}),
        ("sso=8467", "sso", {"n_or_d": "8467"}),
        ("class=Anomaly last=3 after=2024-09-01", "anomaly", {"n": 3, "start_date": "2024-09-01"}),
        ("random=3 seed=2", "random", {"n": 3, "seed": 2}),
        ('class="SN candidate" trend=rising', "latests", {"class": "SN candidate", "n": 100, "trend": "rising"}),
        ("last=7", "latests", {"class": "allclasses", "n": 7}),
        ("after=2024-09-01", "explorer", {"startdate": "2024-09-01", "stopdate": "2024-09-01 03:00:00"}),
        ("after=2024-09-01 window=1h", "explorer", {"startdate": "2024-09-01", "stopdate": "2024-09-01 01:00:00"}),
        (
            "after=2024-09-01 before=2024-10-01",
            "explorer",
            {"startdate": "2024-09-01", "stopdate": "2024-09-01 03:00:00"},
        ),
        (
            "class=Unknown after=2024-09-01 before=2024-09-20 window=2",
            "latests",
            {"class": "Unknown", "n": 100, "startdate": "2024-09-01", "stopdate": "2024-09-03"},
        ),
        (
            "10 -2 after=2024-09-01 before=2024-09-02 window=2",
            "conesearch",
            {"ra": 10.0, "dec": -2.0, "radius": 10.0, "startdate": "2024-09-01", "stopdate": "2024-09-02"},
        ),
        ("before=2024-09-02 window=1", "explorer", {"startdate": "2024-09-01 21:00:00", "stopdate": "2024-09-02"}),
    ],
)
def test_the_call_of_each_search(text: str, route: str, arguments: dict[str, Any]) -> None:
    action = action_of(parse(text))
    assert action is not None
    question = question_of(action)
    assert (question.route, dict(question.arguments)) == (route, arguments)


@pytest.mark.parametrize("text", ['class="SN candidate" window=7', "10 -2 r=1d window=7"])
def test_a_window_without_a_date_ends_now(text: str) -> None:
    action = action_of(parse(text))
    assert action is not None
    started = jd_of(datetime.now(UTC))
    arguments = question_of(action).arguments
    assert -1.0 / 1440.0 <= parse_date(str(arguments["startdate"])) + 7.0 - started <= 1.0 / 1440.0
    assert "stopdate" not in arguments
    assert "within the last 7 days" in criteria(action)[-1]


def test_more_than_is_shown_is_cut_and_said() -> None:
    many = [{"i:objectId": f"ZTF21{number:07d}", "i:jd": 1.0, "x": 1} for number in range(MOST_ROWS + 1)]
    api = StandInApi(many)
    results = asked_for("10 -2 r=5d", api)
    assert (len(results.rows), results.is_cut, results.kind) == (MOST_ROWS, True, "cone")
    assert list(results.rows) == ["i:objectId", "i:jd"]
    assert api.asked[0][1]["n"] == MOST_ROWS + 1
    assert results.arguments["n"] == MOST_ROWS
    assert not asked_for("10 -2 r=5d", StandInApi(many[:MOST_ROWS])).is_cut


def test_objects_at_random_are_shown_once_each() -> None:
    rows = [{"i:objectId": name, "i:jd": jd} for name, jd in (("ZTFb", 1.0), ("ZTFa", 3.0), ("ZTFb", 2.0))]
    results = asked_for("random=2", StandInApi(rows))
    assert results.rows.to_dict("records") == [{"i:objectId": "ZTFa", "i:jd": 3.0}, {"i:objectId": "ZTFb", "i:jd": 2.0}]


def test_what_is_no_search_is_not_asked() -> None:
    with pytest.raises(ApiError, match="no search"):
        ask(Action("unknown"), StandInApi())


def test_the_first_who_knows_a_name_counts() -> None:
    naming = named("SN 2021co", StandInApi(documents={"tns": [TNS_ROW, {**TNS_ROW, "d:fullname": "SN 2021coa"}]}))
    assert [(each.label, each.ra, each.dec, each.note) for each in naming.known] == [
        ("SN 2021co", 10.5, -2.25, "SN Ia, z = 0.03, ZTF21aaabcde")
    ]
    simbad = [{"oname": "M  31", "otype": "G", "jradeg": "10.6847", "jdedeg": "41.2688"}]
    naming = named("M31", StandInApi(documents={"tns": [], "tns reverse": [], "simbad": simbad}))
    assert [(each.label, each.origin) for each in naming.known] == [("M  31", "SIMBAD")]


def test_others_are_asked_for_a_name_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)

    class Meeting(StandInApi):
        def document(self, route: str, /, **arguments: Any) -> Any:
            if arguments["resolver"] != "tns":
                both.wait()
            return super().document(route, **arguments)

    documents = {"tns": [], "tns reverse": [], "simbad": [], "ssodnet": [{"i:name": "Eros", "i:number": "433"}]}
    naming = named("Eros", Meeting(documents=documents), seconds=20)
    assert [(each.label, each.origin) for each in naming.known] == [("Eros", "SsODNet")]
    assert naming.away == ()


def test_who_does_not_answer_in_time_is_away_and_holds_up_nobody_for_ever() -> None:
    wait, started = threading.Event(), threading.Semaphore(0)

    class Hanging(StandInApi):
        def document(self, route: str, /, **arguments: Any) -> Any:
            if arguments["resolver"] != "tns":
                started.release()
                assert wait.wait(20)
            return super().document(route, **arguments)

    hanging = Hanging(documents={"tns": [], "tns reverse": []})
    asking = {thread for thread in threading.enumerate() if thread.name == "names"}
    try:
        for _ in range(5):
            assert named("M31", hanging, seconds=0.01) == Naming((), ("SIMBAD", "SsODNet"))
        under_way = {thread for thread in threading.enumerate() if thread.name == "names"} - asking
        assert len(under_way) == 4
        assert all(thread.daemon for thread in under_way)
        assert named("SN 2021co", Hanging(documents={"tns": [TNS_ROW]})).known  # the archive is asked all the same
    finally:
        wait.set()
    for thread in under_way:
        thread.join(20)
    simbad = [{"oname": "M  31", "otype": "G", "jradeg": "10.6847", "jdedeg": "41.2688"}]
    assert named("M31", StandInApi(documents={"tns": [], "tns reverse": [], "simbad": simbad})).known


def test_numbers_are_asked_of_the_solar_system_only() -> None:
    api = StandInApi(documents={"ssodnet": [{"i:ssnamenr": "8467", "i:name": "Benoitcarry", "i:number": "8467"}]})
    assert [each.label for each in named("8467", api).known] == ["Benoitcarry"]
    assert [arguments["resolver"] for _, arguments in api.asked] == ["ssodnet"]


def test_several_hits_are_choices() -> None:
    rows = [{**TNS_ROW, "d:fullname": f"SN 2021c{letter}"} for letter in "ab"]
    understood = understand("SN 2021c r=1m", StandInApi(documents={"tns": rows}))
    assert understood.action is None
    assert [(known.label, action.parameters["r"]) for known, action in understood.choices] == [
        ("SN 2021ca", 60), ("SN 2021cb", 60)
    ]  # fmt: skip


def test_who_is_away_is_named_and_the_rest_goes_on() -> None:
    answer = suggestions.answer("M31", StandInApi(documents={"tns": [], "tns reverse": []}), with_names=True)
    assert answer["offers"] == []
    assert answer["note"] == "“M31” is no name that is known here. SIMBAD and SsODNet could not be asked just now."


def test_names_are_asked_for_only_after_a_pause() -> None:
    api = StandInApi()
    assert suggestions.answer("M31", api, with_names=False) == {"text": "M31", "offers": [], "note": "", "waits": True}
    assert api.asked == []


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "'; DROP TABLE ztf; --", "{}", "$(rm)", "x" * 101])
def test_what_is_no_name_is_not_sent_to_others(text: str) -> None:
    api = StandInApi()
    assert named(text, api).known == ()
    assert api.asked == []


def test_an_api_that_is_away_is_said() -> None:
    answer = suggestions.answer("ZTF21abfm", StandInApi(ApiError("No.", 0)), with_names=True)
    assert "does not answer" in answer["note"]


def test_long_texts_are_answered_shortly() -> None:
    answer = suggestions.answer("x" * 100_000, StandInApi(), with_names=True)
    assert len(answer["text"]) == LONGEST
    assert answer["offers"] == []


def test_objects_are_looked_up_by_the_beginning_of_their_names() -> None:
    api = StandInApi([{"i:objectId": "ZTF21abfmbix", "i:ndethist": 7, "v:classification": "SN candidate"}])
    assert len(suggestions.answer("ZTF21", api, with_names=True)["offers"]) == 1
    assert api.asked == []
    offers = suggestions.answer("ztf21abfm", api, with_names=True)["offers"]
    assert [(offer["title"], offer["href"]) for offer in offers][1:] == [("ZTF21abfmbix", "/ZTF21abfmbix")]
    assert offers[1]["detail"] == "SN candidate · 7 detections"
    (asked,) = api.asked
    assert asked[0] == "names"
    assert asked[1]["prefix"] == "ZTF21abfm"


def test_a_whole_object_with_a_radius_is_a_cone_around_it() -> None:
    api = StandInApi([{"i:objectId": "ZTF21abfmbix", "i:jd": 1.0, "i:ra": 10.0, "i:dec": 2.0}])
    action = understand("ZTF21abfmbix r=1m", api).action
    assert action == Action("conesearch", {"ra": 10, "dec": 2, "r": 60, "object": "ZTF21abfmbix"})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sn CANDIDATE", "SN candidate"),
        ("rrlyr", "(SIMBAD) RRLyr"),
        ("(tns)sn ia", "(TNS) SN Ia"),
        ("Nothing", "Nothing"),
    ],
)
def test_classes_are_known_in_any_spelling(given: str, meant: str) -> None:
    known = classes.classes(StandInApi())
    assert classes.meant(given, known) == meant
    assert classes.meant("unknown", known) == "Unknown"


def test_classes_close_to_a_name() -> None:
    known = classes.classes(StandInApi())
    assert classes.close_to("early", known) == ("Early SN Ia candidate",)
    assert classes.close_to("Ambigous", known) == ("Ambiguous",)
    assert classes.classes(StandInApi(documents={"classes": ApiError("away", 0)})) == ()
    assert classes.classes(StandInApi(documents={"classes": {"classnames": CLASSES}})) == known


def test_the_last_night() -> None:
    night = {
        "key:key": "ztf_20240901",
        "basic:sci": "30",
        "class:SN candidate": "2",
        "class:Early SN Ia candidate": "1",
    }
    before = {"key:key": "ztf_20240831", "basic:sci": "\x00\x00"}
    found = tonight.last_night(StandInApi(documents={"statistics": [night, before]}))
    assert found is not None
    assert (found.date, found.nights, found.total) == ("2024-09-01", 1, 30)
    assert dict(found.counts)["Supernova candidates"] == 3
    assert tonight.last_night(StandInApi(documents={"statistics": []})) is None


def test_latest_alerts_of_each_object_once() -> None:
    rows = [{"i:objectId": name, "i:jd": 1.0} for name in ("ZTFa", "ZTFa", "ZTFb")]
    assert [alert["i:objectId"] for alert in tonight.latest_alerts(StandInApi(rows))] == ["ZTFa", "ZTFb"]
    assert tonight.latest_alerts(StandInApi([])) == []


def test_pages_without_an_api_say_so() -> None:
    site = Site(Config(), StandInApi(ApiError("The API does not answer.", 0)), None)
    for arguments in ({"q": "ZTF21ab"}, {"action": "class", "class": "SN candidate"}, {"q": "last=3"}):
        shown = str(home.PAGE.build(Visit("/", arguments), site))
        assert "does not answer just now" in shown
        assert "search-text" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"q": "nobody knows"}, "is no name that is known here"), ({"q": 'class="SN'}, "A quote has no end"),
        ({"action": "conesearch", "ra": "nan", "dec": "1"}, "no angle in degrees"), ({"q": "10 95"}, "Declinations go"),
        ({"q": "class="}, "A value is missing behind class="), ({"q": "class=early"}, "Early SN Ia candidate"),
        ({"q": "r=10"}, "This alone is no search"),
    ],
)  # fmt: skip
def test_pages_say_what_was_not_understood(arguments: dict[str, str], says: str) -> None:
    site = Site(Config(), StandInApi(documents={"tns": [], "tns reverse": [], "simbad": [], "ssodnet": []}), None)
    assert says in str(home.PAGE.build(Visit("/", arguments), site))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("10 2 r=1d class=Ambiguous", "class= has no effect in this search."),
        ("10 2 class=Ambiguous trend=rising", "class= and trend= have no effect in this search."),
        ("random=3 after=2024-08-01", "after= has no effect in this search."),
        ("sso=8467 last=2", "last= has no effect in this search."),
        ("class=Ambiguous window=3", ""),
        ("last=3 hello", "“hello” is not understood and left out."),
        ("ZTF21abfmbix last=3", "last= has no effect in this search."),
        ("10 2 r=1d after=2024-08-01 window=3", ""),
        ("ra=10 dec=2", ""),
        ("sso=8467", ""),
        ("class=Anomaly last=3", ""),
        ("before=2024-09-01 window=1", ""),
    ],
)
def test_what_has_no_effect_is_said(text: str, note: str) -> None:
    nobody = {"tns": [], "tns reverse": [], "simbad": [], "ssodnet": []}
    site = Site(Config(), StandInApi(documents=nobody), None)
    assert suggestions.answer(text, site.api, with_names=True)["note"] == note
    address = bar.target_of(text, site)
    assert address.startswith("/?q=") == bool(note)
    if note and not text.startswith("random"):
        assert note in str(home.PAGE.build(routing.visit_of("/", address[1:]), site))


def forwarded(arguments: dict[str, str], api: StandInApi) -> dict[str, str]:
    """Return the arguments of the address that a page leads on to."""
    page = home.PAGE.build(Visit("/", arguments), Site(Config(), api, None))
    (address,) = (each.data for each in page._traverse() if getattr(each, "id", "") == "search-forward")
    return dict(routing.visit_of("/", address[1:]).arguments)


def test_objects_at_random_are_the_same_in_every_view() -> None:
    api = StandInApi()
    for arguments in (
        {"action": "random", "random": "3", "view": "table"},
        {"q": "random=3", "view": "table"},
        {"q": "hello random="},
    ):
        further = forwarded(arguments, api)
        assert {name: further[name] for name in arguments if name != "q"} == {
            name: value for name, value in arguments.items() if name != "q"
        }
        assert not [route for route, _ in api.asked if route == "random"]
        page = home.PAGE.build(Visit("/", further), Site(Config(), api, None))
        assert "search-forward" not in str(page)
        route, asked = api.asked.pop()
        assert route == "random"
        assert f"seed={asked['seed']}" in (further.get("q") or f"seed={further['seed']}")


def test_searches_at_random_have_a_seed_in_their_address_and_none_in_words() -> None:
    api = StandInApi()
    (offer,) = suggestions.answer("random=3", api, with_names=True)["offers"]
    assert (offer["title"], offer["detail"]) == ("3 random objects", "")
    target = bar.target_of("random=3", Site(Config(), api, None))
    for address in (offer["href"], target):
        assert re.fullmatch(r"/\?action=random&random=3&seed=\d{1,6}", address)
    assert bar.target_of("random=3 seed=7", Site(Config(), api, None)) == "/?action=random&random=3&seed=7"


def test_a_page_of_choices_links_to_each() -> None:
    rows = [{**TNS_ROW, "d:fullname": f"SN 2021c{letter}"} for letter in "ab"]
    site = Site(Config(), StandInApi(documents={"tns": rows}), None)
    shown = str(home.PAGE.build(Visit("/", {"q": "SN 2021c"}), site))
    assert "Did you mean" in shown
    assert "object=SN%202021ca" in shown
