"""The page of an object: what its parts say."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import cast

import httpx
import numpy as np
import pandas as pd
import pytest
from science_rows import FIRST_JD, alerts_of, object_of

from fink_broker.config import Config
from fink_broker.portal.client import ApiError
from fink_broker.portal.web import release_photometry
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.jobs import Jobs
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.object_header import facts_of, finder_sources, registered_name
from fink_broker.portal.web.object_tabs import summary
from fink_broker.portal.web.object_tabs.summary_alert import written
from fink_broker.portal.web.object_tabs.summary_classes import MOST_SEGMENTS, runs, segments
from fink_broker.portal.web.object_tabs.summary_light_curve import bands_of, hidden_bands, mode_of
from fink_broker.portal.web.object_tabs.summary_links import broker_links, cone_links, neighbours
from fink_broker.portal.web.object_tabs.summary_sharing import address_of
from fink_broker.portal.web.release_photometry import LARGEST_BYTES, ReleaseError, ReleasePhotometry
from fink_broker.portal.web.site import Site, Visit

TABLE = (
    b"oid,mjd,mag,magerr,filtercode,catflags\n1,59000.5,18.5,0.1,zr,0\n2,58000.5,19.0,0.2,zg,0\n3,58000.7,,0.2,zg,0\n"
)


def release(handler: Callable[[httpx.Request], httpx.Response]) -> ReleasePhotometry:
    return ReleasePhotometry("https://irsa.example/curves", httpx.MockTransport(handler))


def test_releases_are_asked_within_two_arcseconds_for_good_points() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(200, content=TABLE)

    service = release(answer)
    found = service.at(193.5, -2.25)
    assert found["jd"].tolist() == [2458001.0, 2459001.0]
    assert found["fid"].tolist() == [1, 2]
    service.at(193.5, -2.25)
    (first,) = asked  # the second time it was kept
    ra, dec, radius = map(float, first["POS"].split()[1:])
    assert (ra, dec, radius * 3600) == pytest.approx((193.5, -2.25, 2.0), abs=1e-3)
    assert first["BAD_CATFLAGS_MASK"] == "32768"


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"<html>down</html>", 200), (b"", 200), (TABLE, 503), (b"x" * (LARGEST_BYTES + 1), 200), (b"\xff\xfe\x00", 200)],
)
def test_an_answer_that_is_no_photometry_ends_in_a_sentence(content: bytes, status: int) -> None:
    with pytest.raises(ReleaseError, match="IRSA"):
        release(lambda request: httpx.Response(status, content=content)).at(10.0, 20.0)


def test_a_service_that_is_away_ends_in_a_sentence() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ReleaseError, match="does not answer"):
        release(refuse).at(10.0, 20.0)


def test_a_place_that_could_not_be_had_is_not_asked_for_again_at_once() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503)

    service = release(answer)
    for _ in range(3):
        with pytest.raises(ReleaseError, match="status 503"):
            service.at(10.0, 20.0)
    assert len(asked) == 1
    with pytest.raises(ReleaseError, match="status 503"):
        service.at(11.0, 20.0)
    assert len(asked) == 2


def test_a_service_that_hangs_is_left_alone_and_other_places_wait_for_nothing() -> None:
    asked = []

    def hang(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadTimeout("no answer", request=request)

    service = release(hang)
    with pytest.raises(ReleaseError, match="does not answer"):
        service.at(10.0, 20.0)
    with pytest.raises(ReleaseError, match="try again in a minute"):
        service.at(11.0, 20.0)
    assert len(asked) == 1


def test_a_service_that_leads_from_place_to_place_is_followed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def lead_on(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": f"https://irsa.example/curves/{len(asked)}"})

    with pytest.raises(ReleaseError, match="does not answer"):
        release(lead_on).at(10.0, 20.0)
    assert len(asked) <= 4
    monkeypatch.setattr(release_photometry, "LONGEST_SECONDS", -1.0)
    asked.clear()
    with pytest.raises(ReleaseError, match="too long"):
        release(lead_on).at(10.0, 20.0)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "forged", ["ZTF", "ZTF24", "ZTF24aaaaaaa,ZTF24aaaaaab", "", "ZTF24AAAAAAA", "ZTF24aaaaaaa\n", "x" * 999]
)
def test_an_object_is_asked_for_by_its_whole_name_alone(forged: str) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b"[]")

    api = Api("http://127.0.0.1:1", transport=httpx.MockTransport(answer))
    with pytest.raises(ApiError, match="no object named") as refused:
        read_object(api, forged)
    assert (refused.value.status, len(asked)) == (404, 0)
    assert len(refused.value.message) < 100


def data() -> ObjectData:
    alerts = pd.DataFrame(
        {
            "i:jd": [2460000.5, 2460001.5, 2460002.5, 2460003.5],
            "i:fid": [1, 1, 2, 1],
            "i:ra": 10.0,
            "i:dec": -5.0,
            "i:ranr": [10.0, 10.0, 10.1, float("nan")],
            "i:decnr": [-5.0, -5.0, -5.1, float("nan")],
            "i:magnr": [17.0, 17.0, 16.0, -999.0],
            "v:classification": ["Unknown", "SN candidate", "SN candidate", None],
        }
    )
    return ObjectData("ZTF24aaaaaaa", alerts, alerts.iloc[:0], alerts.iloc[:0])


def test_classes_follow_each_other_in_time() -> None:
    assert [(run.label, run.number) for run in runs(data())] == [("Unknown", 1), ("SN candidate", 2), ("Unknown", 1)]


def test_many_classes_by_turns_are_few_segments() -> None:
    number = np.arange(1575)
    labels = np.where(number % 3, "SN candidate", "Unknown")
    alerts = pd.DataFrame({"i:jd": 2460000.5 + number, "v:classification": labels})
    found = runs(dataclasses.replace(data(), alerts=alerts))
    shown = segments(found)
    assert len(found) == 1050 and len(shown) <= MOST_SEGMENTS
    assert sum(run.number for run in shown) == 1575
    assert {run.label for run in shown} == {"SN candidate"}
    assert (shown[0].first, shown[-1].last) == (2460000.5, 2460000.5 + 1574)
    assert segments(found[:MOST_SEGMENTS]) == found[:MOST_SEGMENTS]


def test_the_page_of_a_long_light_curve_is_made_quickly() -> None:
    number = np.arange(1575)
    alerts = alerts_of(1575, **{"v:classification": np.where(number % 2, "SN candidate", "Unknown")})
    site = Site(Config(), Api("http://127.0.0.1:1"), cast("Jobs", None))
    begin = time.process_time()
    shown = summary.build(object_of(alerts), site, Visit("/ZTF24aaaaaaa", {"color": "1"}))
    assert time.process_time() - begin < 2.0
    (plot,) = [part for part in shown._traverse() if getattr(part, "id", "") == "object-plot"]
    named = [candid for trace in plot.figure.data if trace.yaxis != "y2" for candid in trace.customdata or ()]
    assert sorted(named) == alerts["i:candid"].astype(str).tolist()


def test_a_first_detection_is_not_after_its_alert() -> None:
    # of the packet of ZTF25aadhncf: the first detection is rounded to 1e-7 days, the alert to 1e-5
    alerts = alerts_of(1, **{"i:jd": 2460706.61649, "i:jdstarthist": 2460706.6164931, "v:constellation": "Leo"})
    facts = dict(facts_of(object_of(alerts, upper_limits=alerts.iloc[:0], bad_quality=alerts.iloc[:0])))
    assert facts["First detection"] == facts["Last alert"]
    assert facts["Time span"] == "one detection"
    many = alerts_of(3, **{"i:jdstarthist": FIRST_JD - 2.0})
    assert dict(facts_of(object_of(many)))["Time span"] == "12.0 days; alerts here span 10.0 days"


def test_the_finder_has_references_whose_place_is_known() -> None:
    assert [(source.name, source.ra) for source in finder_sources(data())] == [
        ("ZTF24aaaaaaa", 10.0),
        ("Reference in r", 10.1),
    ]


def test_catalogues_without_a_source_have_no_name() -> None:
    row = {"d:cdsxmatch": "RRLyr", "d:vsx": "Unknown", "i:ssnamenr": "null", "i:ssdistnr": -999.0, "d:DR3Name": "nan",
           "i:neargaia": 0.4, "i:maggaia": 15.0, "i:distnr": -999.0}  # fmt: skip
    found = {each.catalogue: each for each in neighbours(row)}
    assert found["SIMBAD"].name == "RRLyr"
    assert not any(found[name].name for name in ("VSX", "MPC", "ZTF reference", "TNS"))
    assert (found["Gaia"].distance, found["Gaia"].said) == (0.4, "G = 15.00 mag")


def test_links_lead_to_the_position() -> None:
    links = dict(cone_links(193.8217409, -2.8973184))
    assert set(links) == {"TNS", "SIMBAD", "SNAD", "DataCentral", "NED", "SDSS", "ASAS-SN", "VSX"}
    for address in links.values():
        assert "193.82174" in address
        assert "2.89731" in address
        assert " " not in address
    assert all("ZTF24aaaaaaa" in address for _, address in broker_links("ZTF24aaaaaaa"))


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("https://fink.example/ZTF24aaaaaaa?tab=x", "https://fink.example/ZTF24aaaaaaa"),
        ("javascript:alert(1)", ""), ("http://[bad", ""), ("", ""), (None, ""), (["x"], ""),
    ],
)  # fmt: skip
def test_the_address_to_share_is_that_of_a_page(href: object, address: str) -> None:
    assert address_of("ZTF24aaaaaaa", href) == address


def test_what_is_no_mode_is_the_first() -> None:
    assert [mode_of(value) for value in ("dc_flux", "<script>", None, ["dc_flux"])] == [
        "dc_flux", "difference", "difference", "difference",
    ]  # fmt: skip


def test_bands_the_browser_leaves_out_are_hidden() -> None:
    assert bands_of(data()) == [1, 2]
    assert [hidden_bands(data(), shown) for shown in (["1"], [], ["1", "2"], None, [["x"], 7])] == [
        [2], [1, 2], [], [], [1, 2],
    ]  # fmt: skip


def test_the_name_of_an_object_is_that_it_was_registered_under() -> None:
    assert registered_name([{"d:internal_name": "my star"}]) == "my star"
    assert registered_name([]) == registered_name("nothing") == ""


def test_identifiers_are_written_in_full_and_missing_values_are_empty() -> None:
    assert [written(value) for value in (2800127822615010001, pd.NA, None, float("nan"), "a")] == [
        "2800127822615010001", "", "", "", "a",
    ]  # fmt: skip
