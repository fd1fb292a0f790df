"""Examples of searches that are offered: each finds something in the archive as it is."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from portal_app import client_of
from portal_questions import archive_of

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.portal import records
from fink_broker.portal.sso_names import KnownName, rows_for
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.pages import home
from fink_broker.portal.web.search import help as search_help
from fink_broker.portal.web.search.actions import ask
from fink_broker.portal.web.search.examples import searches
from fink_broker.portal.web.search.rules import Action
from fink_broker.portal.web.search.understanding import understand
from fink_broker.portal.web.site import Site, Visit

COUNT = 12
FIRST = 2460550.8
LABELS = ("SN candidate", "Unknown", "Tracklet", "Solar System MPC")


def api_over(archive: Archive | None) -> Api:
    client = client_of(archive=archive)

    def answer(request: httpx.Request) -> httpx.Response:
        got = client.request(request.method, str(request.url), content=request.content)
        return httpx.Response(
            got.status_code, content=got.content, headers={"Content-Type": got.headers["content-type"]}
        )

    return Api("http://testserver", transport=httpx.MockTransport(answer))


@pytest.fixture(scope="module", params=[LABELS, ("SN candidate",)], ids=["all sorts", "supernovae only"])
def api(request: pytest.FixtureRequest) -> Api:
    """Objects of one alert each, in the south and the north, in turn of some classes."""
    number, labels = np.arange(COUNT), request.param
    classes = [labels[n % len(labels)] for n in number]
    archive = archive_of(
        {
            "objectId": [f"ZTF24abcde{chr(97 + n)}f" for n in number],
            "jd": FIRST + 0.01 * number,
            "jdstarthist": FIRST - 3.0 + 0.01 * number,
            "ra": 355.0 + 0.4 * number % 360.0,
            "dec": -2.0 + 0.3 * number,
            "finkclass": classes,
            "ssnamenr": ["8467" if label.startswith("Solar") else "null" for label in classes],
            "tracklet": ["TRCK_20240831_071200_00" if label == "Tracklet" else "" for label in classes],
            "roid": [3] * COUNT,
            "mag_rate": np.where(number % 2, 1.0, -1.0),
            "anomaly_score": np.where(number < 4, -0.03, 0.1),
        }
    )
    records.write(archive, records.SSO, rows_for([KnownName("8467", "Benoitcarry", "8467")]))
    return api_over(archive)


def test_every_example_finds_something(api: Api) -> None:
    found = searches(api)
    everywhere = {"object", "beginning", "place", "sexagesimal", "time", "since", "class", "random", "trend", "anomaly"}
    has_all = len(ask(Action("class", {"class": "Tracklet", "last": 1}), api).rows) > 0
    assert set(found) == everywhere | ({"sso", "tracklet"} if has_all else set())
    for text in found.values():
        understood = understand(text, api)
        assert understood.action is not None, text
        assert not understood.parsed.name, text
        assert len(ask(understood.action, api).rows), text


def test_the_help_offers_what_finds_something_and_explains_the_rest(api: Api) -> None:
    found = searches(api)
    sorts = {sort for _, lines in search_help.GUIDE for sort, _, _ in lines}
    assert set(found) <= sorts
    shown = str(search_help._content(found))
    assert shown.count("search-example") == len(found)
    assert shown.count("search-pattern") == sum(len(lines) for _, lines in search_help.GUIDE) - len(found)


def test_what_is_not_understood_is_answered_with_searches_that_work(api: Api) -> None:
    shown = str(home.PAGE.build(Visit("/", {"q": "10 95"}), Site(Config(), api, None)))
    assert searches(api)["object"] in shown
    assert "Searches that work" in shown


def test_an_empty_archive_has_no_searches_that_work() -> None:
    api = api_over(None)
    assert searches(api) == {}
    assert "Searches that work" not in str(home.PAGE.build(Visit("/", {"q": "10 95"}), Site(Config(), api, None)))
