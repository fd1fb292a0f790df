"""The topics file: every mistake is told, and none takes other topics down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.topics_file import read_topics
from fink_broker.filters.users.functions import UserFunction

REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLE = REPOSITORY / "conf" / "topics.example.toml"
GOOD = '[[topic]]\nname = "good"\ndescription = "d"\nrule = "candidate.drb > 0.9"\n'


def topic(**keys: str) -> str:
    """Return an entry; values are TOML."""
    given = {"name": '"mine"', "description": '"d"', "rule": '"candidate.drb > 0.9"'} | keys
    return "[[topic]]\n" + "".join(f"{key} = {value}\n" for key, value in given.items() if value)


def test_an_entry_of_each_kind(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\[\[\w|\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    file = tmp_path / "topics.toml"
    file.write_text(text)
    (tmp_path / "targets.csv").write_text("ra,dec\n1,2\n")
    (tmp_path / "bayestar.multiorder.fits").write_text('{"1": [1, 2]}')  # a coverage map as JSON does as well
    (tmp_path / "my_filters.py").write_text("def risers(cmagpsfc): ...")
    filters, problems = read_topics(file)
    assert problems == []
    found = {entry.name: entry for entry in filters}
    assert list(found) == ["bright_unknown", "well_seen", "my_risers", "my_blazars", "my_targets", "gw_follow_up"]
    assert isinstance(found["well_seen"].rule, SqlRule)
    assert found["well_seen"].version == "2"
    assert found["well_seen"].columns == ("snn_sn_vs_all", "snn_snia_vs_nonia", "cdsxmatch")
    assert found["bright_unknown"].output == "light_curve"
    assert found["my_risers"].rule == UserFunction("my_filters:risers", str(tmp_path))
    assert "2″" in found["my_targets"].rule.text
    assert not any(entry.built_in for entry in filters)
    assert len({entry.identity for entry in filters}) == len(filters)


def test_the_example_is_right_as_it_stands() -> None:
    filters, problems = read_topics(EXAMPLE)
    assert problems == []
    assert len(filters) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (topic(rul='"x"'), "topic 'mine': There is no key 'rul'. Did you mean 'rule'"),
        (topic(name=""), "topic 'number 1': The key 'name' is missing."),
        (topic(description=""), "The key 'description' is missing."),
        (topic(rule=""), "It has none of them. Give exactly one of rule, function, watchlist, area."),
        (topic(function='"a:b"'), "It has 'rule' and 'function'."),
        (topic(rule="3"), "'rule' cannot be 3. It is: SQL condition"),
        (topic(rule='""'), "topic 'mine'"),
        (topic(rule='"candidate.drb >"'), "topic 'mine'"),
        (topic(rule='"drb > 0; DROP TABLE alerts"'), "topic 'mine'"),
        (topic(level="0.5"), "'level' says nothing of a topic with 'rule'. It belongs to 'area'."),
        (topic(output='"small"'), "'output' cannot be 'small'"),
        (topic(output='"full"', columns='["roid"]'), "It has 'output' and 'columns'."),
        (topic(columns='[3]'), "'columns.0' cannot be 3"),
        (topic(name='"My Topic"'), "'My Topic' is no name for a filter."),
        (topic(name='"ftransfer_mine"'), "reserved. Choose another name: clients take topics ftransfer_… for data"),
        (topic(name='"fxmatch_mine"'), "begins with 'fxmatch_', which is reserved"),
        (topic(name='"ai_predictions"'), "clients take topics fink_ai_… for predictions"),
        (topic(name='"ztf_counters"'), "clients take topics fink_ztf_… for counters"),
        (topic(name='"ztf"'), "clients take topics fink_ztf_… for counters"),
        (topic(name='"fink_ai_mine"'), "begins with 'fink_ai_', which is reserved"),
        (topic(name='"vra"'), "The broker itself has a topic of this name."),
        (topic(name='"good"'), "There is a topic of this name already."),
        (topic(name=f'"{"x" * 300}"'), "is no name for a filter"),
        (topic(name="[1]"), "topic 'number 1': 'name' cannot be"),
        (topic(rule="", function='"../x.py"'), "is no place of a function"),
        (topic(rule="", watchlist='"no_such.csv"'), "no_such.csv"),
        (topic(rule="", watchlist='"."'), "topic 'mine'"),
        (topic(rule="", area='"no_such.fits"', level="0.9"), "no_such.fits"),
        ("[[topics]]\n", "There is no table 'topics'. Did you mean 'topic'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_and_the_others_go_on(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "topics.toml"
    order = GOOD + text if '"good"' in text else text + GOOD
    file.write_text(order)
    filters, problems = read_topics(file)
    assert [entry.name for entry in filters] == ["good"]
    assert len(problems) == 1
    assert str(file) in str(problems[0])
    assert told in str(problems[0])
    assert str(problems[0]).endswith((".", "?"))


@pytest.mark.parametrize("content", [b"[[topic", b"\xff\xfe", b"topic = 3\nx", b"a = " + b"[" * 100_000])
def test_what_is_no_toml_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "topics.toml"
    file.write_bytes(content)
    filters, problems = read_topics(file)
    assert filters == []
    assert "The file cannot be read" in str(problems[0])


def test_webhooks_are_left_to_others_and_nothing_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "topics.toml"
    assert read_topics(file) == ([], [])
    file.write_text(GOOD + '[[webhook]]\ntopic = "good"\nanything = 3\n')
    filters, problems = read_topics(file)
    assert [entry.name for entry in filters] == ["good"]
    assert problems == []


def test_a_folder_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text("[[topic")
    (tmp_path / "c.toml").write_text(topic() + GOOD)
    (tmp_path / "notes.txt").write_text("no topics")
    filters, problems = read_topics(tmp_path)
    assert [entry.name for entry in filters] == ["good", "mine"]
    assert [problem.file.name for problem in problems] == ["b.toml", "c.toml"]


def test_no_name_of_the_broker_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("".join(topic(name=f'"{name}"') for name in BUILT_IN))
    filters, problems = read_topics(tmp_path)
    assert filters == []
    assert len(problems) == len(BUILT_IN)


def test_names_that_only_look_like_reserved_ones(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(topic(name='"aim"') + topic(name='"ztf2_mine"') + topic(name='"my_ai_picks"'))
    filters, problems = read_topics(tmp_path)
    assert [entry.name for entry in filters] == ["aim", "ztf2_mine", "my_ai_picks"]
    assert problems == []
