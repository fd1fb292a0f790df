"""The bodies far ends expect: Slack, Telegram, and plain JSON for programs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from fink_broker.notify.notice import Notice, Value
from fink_broker.notify.template import LONGEST_TEXT, shown
from fink_broker.notify.webhook import Webhook

#: Objects a summary names; the others are a number.
NAMED = 10

#: alert: one, by itself. more: those beyond the rate. late: those too old to be news.
PostKind = Literal["alert", "more", "late"]


@dataclass(frozen=True)
class Post:
    """What is told at once.

    Parameters
    ----------
    kind : {"alert", "more", "late"}
        One alert, a summary of those beyond the rate, or of those that are too old.
    notices : tuple of Notice
        Of what.
    """

    kind: PostKind
    notices: tuple[Notice, ...]

    @property
    def id(self) -> str:
        """The same for the same alerts: by it a program drops a post that came twice."""
        identities = "\n".join(sorted(notice.identity for notice in self.notices))
        return hashlib.sha256(identities.encode()).hexdigest()[:32]


def body(webhook: Webhook, post: Post) -> bytes:
    """Return the body of the request that tells of alerts.

    Parameters
    ----------
    webhook : Webhook
        Whom.
    post : Post
        What.
    """
    match webhook.kind:
        case "slack":
            content: dict[str, Any] = {"text": text(webhook, post, escape_slack), "unfurl_links": False}
        case "telegram":
            # no parse_mode: a text without one has no character that would need escaping
            preview = {"is_disabled": True}
            content = {"chat_id": webhook.chat, "text": text(webhook, post), "link_preview_options": preview}
        case "json":
            content = _for_programs(webhook, post)
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


def text(webhook: Webhook, post: Post, escape: Callable[[str], str] = str) -> str:
    """Return what people read: the words of the webhook for an alert, a list of names for a summary."""
    if post.kind == "alert":
        return webhook.template.render(values_of(webhook, post.notices[0]), escape)
    number = len(post.notices)
    alerts = "alert" if number == 1 else "alerts"
    topics = Counter(notice.topic for notice in post.notices)
    of_each = ", ".join(f"{count} on {topic}" for topic, count in topics.most_common())
    where = f"on {next(iter(topics))}" if len(topics) == 1 else f"({of_each})"
    if post.kind == "more":
        begin = f"+ {number} more {alerts} {where}"
    else:
        since = min(notice.sent for notice in post.notices if notice.sent is not None)
        begin = f"{number} {alerts} {where} could not be told in time, the first of {_minute(since)} UTC"
    return escape(f"{begin}: {_names(post.notices)}")[:LONGEST_TEXT]


def values_of(webhook: Webhook, notice: Notice) -> dict[str, Value]:
    """Return the values of an alert, its link among them."""
    name = notice.values["objectId"]
    link = f"{webhook.link}/{quote(str(name), safe='')}" if webhook.link and name is not None else None
    return {**notice.values, "link": link}


def escape_slack(value: str) -> str:
    """Return a text in which Slack sees no link, mention or command."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _names(notices: Sequence[Notice]) -> str:
    """Return objects with the magnitude of their first alert, and how many are not named."""
    first: dict[Value, Notice] = {}
    for notice in notices:
        first.setdefault(notice.values["objectId"], notice)
    words = [
        f"{shown(name)} ({notice.values['band'] or ''} {shown(notice.values['magpsf'], 2)})".replace("( ", "(")
        for name, notice in list(first.items())[:NAMED]
    ]
    others = len(first) - len(words)
    return ", ".join(words) + (f" and {others} other object{'s' if others > 1 else ''}" if others else "")


def _for_programs(webhook: Webhook, post: Post) -> dict[str, Any]:
    if post.kind == "alert":
        alerts = [values_of(webhook, post.notices[0])]
    else:
        alerts = [{name: notice.values[name] for name in ("objectId", "candid", "topic")} for notice in post.notices]
    return {
        "kind": post.kind,
        "id": post.id,
        "webhook": webhook.name,
        "count": len(post.notices),
        "text": text(webhook, post),
        "topics": dict(Counter(notice.topic for notice in post.notices)),
        "alerts": alerts,
    }


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
