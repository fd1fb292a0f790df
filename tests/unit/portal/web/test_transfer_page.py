"""The callbacks of the data transfer page, as a browser, or somebody who forges one, calls them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from fink_broker.config import Config
from fink_broker.portal.web.app import create_portal
from fink_broker.portal.web.fits.jobs import Jobs
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.transfer.selection import MOST_ALERTS

NAMES = ("start", "stop", "classes", "where", "content")
CHOSEN = {"start": "2023-10-17", "stop": "2023-10-18", "classes": [], "where": "", "content": "thin"}
AFTER = ("transfer-after.children", "transfer-topic.data", "transfer-submit-error.children")
REVIEWED = (
    "transfer-nights-error.children", "transfer-where-error.children", "transfer-step-content.className",
    "transfer-step-summary.className", "transfer-summary.children",
)  # fmt: skip


class Statistics:
    """An API that knows the counts of two nights, the second of which is far too large."""

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        assert route == "statistics"
        return pd.DataFrame({"key:key": ["ztf_20231017", "ztf_20231018"], "basic:sci": ["9", f"{MOST_ALERTS}"]})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("portal")
    config = Config.model_validate({"storage": {"online": str(folder / "online"), "state": str(folder)}})
    return create_portal(config, Site(config, Statistics(), Jobs(folder, 1, 1.0))).server.test_client()


def call(browser: FlaskClient, outputs: tuple[str, ...], given: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """Return what a callback changes; ``inputs`` are those beside the selection, as ``summary__children``."""
    values = [_prop(f"transfer-{name.replace('__', '.')}", value) for name, value in inputs.items()]
    values += [_prop(f"transfer-{name}.value", (CHOSEN | given)[name]) for name in NAMES]
    several = len(outputs) > 1
    split = [dict(zip(("id", "property"), output.split("."), strict=True)) for output in outputs]
    body = {
        "output": f"..{'...'.join(outputs)}.." if several else outputs[0],
        "outputs": split if several else split[0],
        **_in_place(outputs, values),
        "changedPropIds": [f"{values[0]['id']}.{values[0]['property']}"],
    }
    answer = browser.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json()["response"])


def _prop(name: str, value: Any) -> dict[str, Any]:
    identifier, _, prop = name.partition(".")
    return {"id": identifier, "property": prop, "value": value}


def _in_place(outputs: tuple[str, ...], values: list[dict[str, Any]]) -> dict[str, Any]:
    """Part values into what calls a callback and what it is given besides."""
    inputs = {REVIEWED: len(values), AFTER: 1}.get(outputs, 2)
    return {"inputs": values[:inputs], "state": values[inputs:]}


def is_refused(browser: FlaskClient, **given: Any) -> bool:
    changed = call(browser, ("transfer-submit.disabled",), given, summary__children=None, topic__data="")
    return bool(changed["transfer-submit"]["disabled"])


@pytest.mark.parametrize(
    "given", [{}, {"where": "candidate.jd > 0"}, {"classes": ["(TNS) SN Ia"]}], ids=["all", "condition", "TNS"]
)
def test_what_is_too_large_is_not_sent_whatever_its_conditions(browser: FlaskClient, given: dict[str, Any]) -> None:
    assert is_refused(browser, **given)
    assert not is_refused(browser, **given, stop="2023-10-17")
    shown = str(call(browser, REVIEWED, given)["transfer-summary"])
    assert "Too large" in shown and "are not sent at once" in shown
    sent = call(browser, AFTER, given, submit__n_clicks=1, topic__data="")
    assert "10,000,000 alerts are selected" in str(sent["transfer-submit-error"])


@pytest.mark.parametrize("value", [5, True, ["x"], [["x"]], {}, {"a": 1}, "x" * 1_000_000, ["x"] * 1000])
@pytest.mark.parametrize("name", NAMES)
def test_forged_values_end_in_words(browser: FlaskClient, name: str, value: Any) -> None:
    given = {name: value}
    assert is_refused(browser, **given)
    reviewed = call(browser, REVIEWED, given)
    told = reviewed["transfer-nights-error"]["children"] or reviewed["transfer-where-error"]["children"]
    assert told and len(str(told)) < 1000
    sent = call(browser, AFTER, given, submit__n_clicks=1, topic__data="")
    assert "Not submitted" in str(sent["transfer-submit-error"])
