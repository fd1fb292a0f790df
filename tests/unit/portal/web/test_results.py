"""Results: values in words, badges, cards, columns of the table, addresses of downloads."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.results import values
from fink_broker.portal.web.results.badges import class_badges, generic_badges
from fink_broker.portal.web.results.call import arguments_of
from fink_broker.portal.web.results.cards import cards, stamp_address
from fink_broker.portal.web.results.columns import added_values, definitions, known_columns, records
from fink_broker.portal.web.results.sources import sky_sources
from fink_broker.portal.web.results.view import download_address, file_name, help_on, results_view
from fink_broker.portal.web.search.actions import Results
from fink_broker.portal.web.site import Visit

ROW = {
    "i:objectId": "ZTF21aaaaaaa", "i:candid": 2800151396015015000, "i:ra": 193.82, "i:dec": 2.89, "i:jd": 2460554.5,
    "i:jdstarthist": 2460544.5, "i:ndethist": 22, "i:distnr": 0.4, "i:distpsnr1": 2.0, "i:neargaia": 80.0,
    "i:ssnamenr": "null", "d:tracklet": "", "d:vsx": "Unknown", "d:gcvs": "RRAB", "d:cdsxmatch": "RRLyr",
    "v:classification": "SN candidate", "i:magpsf": 19.86, "i:fid": 2, "i:rb": 0.96, "i:drb": np.nan,
}  # fmt: skip


def text_of(component) -> str:
    return json.dumps(component, ensure_ascii=False, default=lambda inner: inner.to_plotly_json())


def results(rows: pd.DataFrame, **changes) -> Results:
    given = {
        "title": "Cone of 10″ around <193.8>",
        "criteria": (),
        "is_cut": False,
        "kind": "class",
        "route": "latests",
    }
    return Results(rows=rows, **{**given, "arguments": {"class": "SN & more", "n": 100}, **changes})


@pytest.mark.parametrize("nothing", ["null", "Unknown", "nan", None, "", float("nan"), pd.NA])
def test_what_packets_call_nothing_is_nothing(nothing: object) -> None:
    assert values.text_of({"a": nothing}, "a") == "" == values.text_of({}, "a")
    assert values.number_of({"a": nothing}, "a") is None


def test_numbers_that_stand_for_nothing() -> None:
    assert values.number_of({"a": -999.0}, "a") is None is values.number_of({"a": float("inf")}, "a")
    assert values.number_of({"a": np.float32(1.5)}, "a") == 1.5


def test_values_in_words() -> None:
    assert values.date_of(2460554.5) == "2024-09-01 00:00:00"
    assert values.date_of(-999.0) == values.date_of(None) == ""
    assert [values.separation(degrees) for degrees in (1 / 3600, 0.5 / 60 * 10, 2.0)] == ["1.0″", "5.0′", "2.00°"]
    assert (values.lapse(0.5), values.lapse(10.04), values.lapse(-1)) == ("12.0 hours", "10.0 days", "")
    assert (values.lapse(0.01), values.lapse(1e-6), values.lapse(None)) == ("14.4 minutes", "", "")
    assert values.equatorial(193.8217409, 2.8973184) == "12:55:17.22 +02:53:50.35"
    assert values.galactic([266.40499], [-28.93617])[0] == pytest.approx([0, 0], abs=1e-3)  # the galactic centre


def test_badges_say_what_is_known_and_nothing_else() -> None:
    shown = text_of([*class_badges(ROW), *generic_badges(ROW)])
    for words in ("SN candidate", "SIMBAD: RRLyr", "GCVS: RRAB", "ZTF: 0.4", "PS1: 2.0"):
        assert words in shown
    for words in ("SSO", "VSX", "Gaia"):
        assert f'"{words}' not in shown
    assert shown.count("results-badge-warns") == 1
    assert "warns" not in text_of(generic_badges({**ROW, "i:distnr": 1.5}))
    assert generic_badges({}) == []


def test_cards_come_ten_a_page_and_pages_beyond_the_last_are_the_last() -> None:
    rows = pd.DataFrame([{**ROW, "i:objectId": f"ZTF21aaaaa{chr(97 + n)}a"} for n in range(23)])
    first, last = cards(rows, Visit("/", {"class": "X", "page": "1"})), cards(rows, Visit("/", {"page": "999"}))
    assert text_of(first).count('"results-card"') == 10
    assert text_of(last).count('"results-card"') == 3
    assert "#21" in text_of(last) and "?class=X&page=2" in text_of(first)
    assert text_of(cards(rows, Visit("/", {"page": "<script>"}))) == text_of(cards(rows, Visit("/", {})))
    assert "results-pages" not in text_of(cards(rows.head(10), Visit("/", {})))


def test_a_card_of_little_knowledge_is_a_card() -> None:
    shown = text_of(cards(pd.DataFrame([{"i:objectId": "ZTF21aaaaaaa"}]), Visit()))
    assert "ZTF21aaaaaaa" in shown and "Unknown" in shown and "Galactic" not in shown


def test_a_first_detection_is_not_after_its_alert() -> None:
    row = {**ROW, "i:jd": 2460706.61649, "i:jdstarthist": 2460706.6164931, "i:ndethist": 1}
    shown = text_of(cards(pd.DataFrame([row]), Visit()))
    assert '"1 detection"' in shown
    (record,) = records(pd.DataFrame([row]))
    assert record["variation"] == 0


def test_help_says_what_a_result_is() -> None:
    rows = pd.DataFrame([ROW, {**ROW, "i:candid": 1}])
    assert "is one alert" in help_on(results(rows))[0]
    assert "is one object" in help_on(results(rows.head(1)))[0]


def test_separation_is_in_the_corner_of_a_cone() -> None:
    assert "4.2″" in text_of(cards(pd.DataFrame([{**ROW, "v:separation_degree": 4.2 / 3600}]), Visit()))


def test_addresses_carry_names_as_names() -> None:
    assert "objectId=a%26b" in stamp_address("a&b")
    asked = urlsplit(download_address(results(pd.DataFrame()), "csv"))
    assert asked.path == "/api/v1/latests"
    assert parse_qs(asked.query) == {"class": ["SN & more"], "n": ["100"], "output-format": ["csv"]}
    assert file_name(results(pd.DataFrame()), "votable") == "fink_Cone_of_10_around_193.8.xml"


def test_the_table_has_the_columns_of_its_kind_and_identifiers_as_text() -> None:
    assert [each["field"] for each in definitions("cone")][1] == "separation"
    assert [each["field"] for each in definitions("class")][1:3] == ["ra", "dec"]
    (record,) = records(pd.DataFrame([ROW]))
    assert record["id"] == "2800151396015015000"
    assert (record["class"], record["count"], record["variation"], record["sso"]) == ("SN candidate", 22, 10.0, "")
    json.dumps(record, allow_nan=False)


class FakeApi:
    def rows(self, route: str, /, **arguments: object) -> pd.DataFrame:
        assert arguments["columns"] == ["i:objectId", "i:candid", "i:nid", "d:mangrove"]
        wide = {**ROW, "i:nid": 2**60, "d:mangrove": {"a": 1}}
        return pd.DataFrame([wide])[arguments["columns"]]

    def document(self, route: str, /, **arguments: object) -> object:
        return {"fields": {"ZTF (i:)": {"ra": {}, "Dec": {}}, "Images (b:)": {"cutout": {}}, "Fink (d:)": {"roid": {}}}}


def test_further_columns_come_by_identifier() -> None:
    found = added_values(FakeApi(), "latests", {"class": "X", "columns": "i:ra"}, ["i:nid", "d:mangrove"])
    assert found == {
        "i:nid": {"2800151396015015000": str(2**60)},
        "d:mangrove": {"2800151396015015000": "{'a': 1}"},
    }
    with pytest.raises(ApiError, match="lists of alerts"):
        added_values(FakeApi(), "metadata", {}, ["i:nid"])
    assert known_columns(FakeApi()) == ["i:Dec", "i:ra", "d:roid"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"radius": 5.0}, "add r=60, or r=10m."),
        ({"radius": 60.0}, "add r=10m."),
        ({"radius": 600.0}, "No object of the archive is in this cone."),
        ({"radius": 18000.0}, "No object of the archive is in this cone."),
        ({"radius": 5.0, "startdate": "2024-09-01"}, "first detected at that time. Other times may have some."),
    ],
)
def test_advice_on_an_empty_cone_is_of_use(arguments: dict[str, float | str], says: str) -> None:
    empty = results(pd.DataFrame(), kind="cone", route="conesearch", arguments=arguments)
    advice = text_of(results_view(empty, Visit("/", {}), None))
    assert f'{says}"' in advice


@pytest.mark.parametrize("forged", [None, "text", [], {"route": "latests"}, {"arguments": "x"}])
def test_a_forged_call_is_none(forged: object) -> None:
    assert arguments_of(forged) == ("", {})


def test_sources_of_a_map_lead_to_their_objects() -> None:
    (source,) = sky_sources(pd.DataFrame([ROW, {**ROW, "i:ra": np.nan}]))
    assert (source.href, source.label) == ("/ZTF21aaaaaaa", "SN candidate")
    assert source.text == "r = 19.86\n2024-09-01 00:00:00"
