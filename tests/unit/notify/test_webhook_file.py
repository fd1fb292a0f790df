"""The file of webhooks: what may stand there, and that no mistake shows an address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fink_broker.config.model import Config, FiltersConfig
from fink_broker.notify.webhook_file import Reading, read_webhooks, signature

ADDRESS = "https://hooks.slack.com/services/T0SECRET/B0SECRET/verysecretword"
ENVIRON = {"SLACK": ADDRESS, "PLAIN": "http://example.org/verysecretword", "NO_URL": "verysecretword", "EMPTY": ""}


def read(path: Path, text: str | None = None) -> Reading:
    if text is not None:
        path.write_text(text)
    return read_webhooks(Config(filters=FiltersConfig(file=str(path))), ENVIRON)


def table(**keys: object) -> str:
    """Return a webhook as TOML, with some keys changed (None: left out)."""
    all_keys = {"name": "a", "kind": "slack", "url": "${SLACK}", "topic": "sn_candidates"} | keys
    written = {name: value for name, value in all_keys.items() if value is not None}
    return "[[webhook]]\n" + "".join(
        f"{name} = {value if not isinstance(value, str) else repr(value)}\n" for name, value in written.items()
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "topics.toml"


def test_a_webhook_of_each_kind(file: Path) -> None:
    reading = read(
        file,
        table()
        + table(name="b", kind="telegram", chat="@sn", topic=None, topics=["vra", "fink_my_own_ztf"], per_minute=5)
        + table(name="c", kind="json", url="http://127.0.0.1:8080/in", link="https://fink-portal.org/")
        + table(name="d", kind="json", url="https://example.org/in", **{"from": "earliest"}, stale_hours=1)
        + '[[topic]]\nname = "mine"\nrule = "candidate.magpsf < 18"\n',
    )
    assert reading.problems == []
    slack, telegram, local, json = reading.webhooks.values()
    assert (slack.url, slack.per_minute, slack.start, slack.group) == (ADDRESS, 30, "latest", "fink_notifier_a")
    assert telegram.topics == ("fink_vra_ztf", "fink_my_own_ztf")
    assert (telegram.per_minute, telegram.chat) == (5, "@sn")
    assert (local.on_loopback, local.link) == (True, "https://fink-portal.org")
    assert "{link}" in local.template.text
    assert (json.start, json.stale_hours) == ("earliest", 1.0)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"url": ADDRESS}, "written out.*secret.*environment"),
        ({"url": "${SLACK}x"}, "written out"),
        ({"kind": "json", "url": "https://example.org/${SLACK}"}, "written out"),
        ({"url": "${NOT_SET}"}, "NOT_SET.*not set"),
        ({"url": "${EMPTY}"}, "EMPTY.*not set"),
        ({"url": "${PLAIN}"}, "PLAIN holds is a plain http address"),
        ({"url": "${NO_URL}"}, "NO_URL holds is no http"),
        ({"kind": "json", "url": "http://example.org/verysecretword"}, "plain http"),
        ({"kind": "json", "url": "file:///verysecretword"}, "no http"),
        ({"kind": "json", "url": "https://example.org:port/verysecretword"}, "no http"),
        ({"kind": "json", "url": "https://exa mple.org/verysecretword"}, "no http"),
        ({"url": None}, "has no url"),
        ({"url": 5}, "url is wrong"),
        ({"kind": "discord"}, "kind is wrong.*slack.*telegram.*json"),
        ({"kind": "telegram"}, "no chat"),
        ({"chat": "@sn"}, "for Telegram only"),
        ({"name": "../../etc"}, "no name"),
        ({"name": "Capital"}, "no name"),
        ({"topic": None}, "either topic or topics"),
        ({"topics": ["vra"]}, "either topic or topics"),
        ({"topic": "a b"}, "no name of a topic"),
        ({"per_minute": 0}, "per_minute is wrong.*greater than or equal to 1"),
        ({"per_minute": 2.5}, "per_minute is wrong"),
        ({"text": "{magnitude}"}, "no field"),
        ({"link": "fink-portal"}, "link"),
        ({"stale_hours": -1}, "stale_hours is wrong"),
        ({"from": "monday"}, "from is wrong"),
        ({"per_minuet": 3}, "no key per_minuet. Did you mean per_minute"),
        ({"images": 1}, "no key images. Keys are name, kind"),
    ],
)
def test_a_mistake_is_told_with_its_remedy_and_harms_no_other(file: Path, keys: dict, told: str) -> None:
    reading = read(file, table(**keys) + table(name="good"))
    assert list(reading.webhooks) == ["good"]
    (problem,) = reading.problems
    assert problem.file == "topics.toml"
    assert re.search(told, str(problem)), str(problem)
    assert "verysecretword" not in str(problem)


def test_two_of_one_name(file: Path) -> None:
    reading = read(file, table() + table(topic="vra"))
    assert reading.webhooks["a"].topics == ("fink_sn_candidates_ztf",)
    assert "same name" in str(reading.problems[0])


@pytest.mark.parametrize("text", ["[[webhook]\nname = 1", "name = \x00", "a = " + "[" * 5000])
def test_a_file_that_is_no_toml(file: Path, text: str) -> None:
    reading = read(file, text)
    assert reading.unreadable
    assert "not well-formed" in str(reading.problems[0])


def test_other_shapes(file: Path) -> None:
    assert "not a table" in str(read(file, 'webhook = ["text"]').problems[0])
    assert "has no name" in str(read(file, "[webhook]\nkind = 'slack'").problems[0])
    file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(read(file).problems[0])
    assert read(file.with_name("absent.toml")) == Reading()


def test_a_folder_of_files(file: Path) -> None:
    read(file, table())
    (file.parent / "broken.toml").write_text("[[")
    (file.parent / "more.toml").write_text(table(name="b"))
    (file.parent / "note.txt").write_text("no TOML")
    reading = read(file.parent)
    assert list(reading.webhooks) == ["b", "a"]
    assert [problem.file for problem in reading.problems] == ["broken.toml"]


def test_the_signature_follows_every_change(file: Path) -> None:
    seen = {signature(file)}
    for text in (table(), table(name="b"), table() + "# note\n"):
        file.write_text(text)
        seen.add(signature(file))
        assert signature(file) == signature(file)
    file.unlink()
    assert len(seen) == 4
    assert signature(file) in seen


def test_an_address_does_not_show_when_printed(file: Path) -> None:
    assert "verysecretword" not in repr(read(file, table()))
