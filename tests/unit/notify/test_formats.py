"""Bodies as Slack, Telegram and programs expect them."""

from __future__ import annotations

import json
import time
from typing import Any

from unit.notify.far_end import TOPIC, notice, webhook

from fink_broker.notify.formats import Post, body
from fink_broker.notify.template import Template

LINK = "https://fink-portal.org"


def made(post: Post, **keys: Any) -> dict[str, Any]:
    return json.loads(body(webhook(**keys), post))


def test_slack() -> None:
    hostile = notice(1, finkclass="<!channel> & <http://a|b>")
    content = made(
        Post("alert", (hostile,)), kind="slack", link=LINK, template=Template("*{objectId}* {finkclass} {link}")
    )
    assert content == {
        "text": f"*ZTF240000001* &lt;!channel&gt; &amp; &lt;http://a|b&gt; {LINK}/ZTF240000001",
        "unfurl_links": False,
    }


def test_telegram() -> None:
    odd = notice(1, finkclass="_*[<b>&")
    content = made(Post("alert", (odd,)), kind="telegram", chat="@sn", template=Template("{finkclass}"))
    assert content == {"chat_id": "@sn", "text": "_*[<b>&", "link_preview_options": {"is_disabled": True}}


def test_json_of_an_alert() -> None:
    content = made(Post("alert", (notice(1),)), link=LINK)
    assert content["kind"] == "alert"
    assert (content["count"], content["webhook"], content["topics"]) == (1, "test", {TOPIC: 1})
    (alert,) = content["alerts"]
    assert alert["candid"] == "2500000000000000001"
    assert alert["magpsf"] == 18.256
    assert alert["drb"] is None
    assert alert["link"] == f"{LINK}/ZTF240000001"
    assert content["text"] == "ZTF240000001: g = 18.26 mag, SN candidate, ra 150.12346 dec -5.50000 (" + TOPIC + ")"


def test_a_link_is_quoted() -> None:
    odd = notice(1)
    odd.values["objectId"] = "a/../b?c d|<"
    assert made(Post("alert", (odd,)), link=LINK)["alerts"][0]["link"] == f"{LINK}/a%2F..%2Fb%3Fc%20d%7C%3C"


def test_a_summary_names_some_and_counts_the_rest() -> None:
    post = Post("more", tuple(notice(n) for n in range(37)))
    text = made(post, kind="slack")["text"]
    assert text.startswith(f"+ 37 more alerts on {TOPIC}: ZTF240000000 (g 18.26), ZTF240000001 (g 18.26), ")
    assert text.endswith(" and 27 other objects")
    content = made(post)
    assert (content["kind"], content["count"]) == ("more", 37)
    assert content["alerts"][36] == {"objectId": "ZTF240000036", "candid": "2500000000000000036", "topic": TOPIC}


def test_a_summary_of_several_topics_and_repeated_objects() -> None:
    notices = [notice(n % 2, topic=("fink_a_ztf", "fink_b_ztf", "fink_a_ztf")[n % 3]) for n in range(6)]
    text = made(Post("more", tuple(notices)), kind="slack")["text"]
    assert text == (
        "+ 6 more alerts (4 on fink_a_ztf, 2 on fink_b_ztf): ZTF240000000 (g 18.26), ZTF240000001 (g 18.26)"
    )


def test_late_alerts_say_since_when() -> None:
    sent = time.mktime(time.strptime("2024-03-01 12:00 UTC", "%Y-%m-%d %H:%M %Z")) - time.timezone
    text = made(Post("late", (notice(1, sent=sent),)), kind="slack")["text"]
    assert text.startswith(f"1 alert on {TOPIC} could not be told in time, the first of 2024-03-01 1")


def test_the_id_depends_on_the_alerts_alone() -> None:
    first = made(Post("more", (notice(1), notice(2))))["id"]
    assert made(Post("late", (notice(2), notice(1))))["id"] == first
    assert made(Post("more", (notice(1), notice(3))))["id"] != first


def test_missing_values_are_null_or_a_dash_never_nan() -> None:
    bare = notice(1, objectId=None, candidate={"magpsf": float("nan"), "fid": None}, finkclass=None)
    bare.values["objectId"] = None
    content = made(Post("alert", (bare,)), link=LINK)
    assert content["text"].startswith("–: – = – mag, –, ra")
    assert content["alerts"][0]["magpsf"] is None
    assert made(Post("more", (bare, bare)))["text"].endswith("– (–)")
