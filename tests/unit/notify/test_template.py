"""Words of a post: fields in braces, and nothing else ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.notify.far_end import notice

from fink_broker.errors import ConfigError
from fink_broker.notify.notice import FIELDS
from fink_broker.notify.template import LONGEST_TEXT, MISSING, Template

VALUES = notice(7).values


def test_fields_are_told_in_their_digits() -> None:
    text = "{objectId} {candid} {band} {fid} {magpsf} {magpsf:.0f} {ra} {dec} {finkclass} {time} {{as it is}}"
    assert Template(text).render(VALUES) == (
        "ZTF240000007 2500000000000000007 g 1 18.26 18 150.12346 -5.50000 SN candidate 2023-02-25 00:00:00 {as it is}"
    )


def test_a_missing_value_is_a_dash() -> None:
    assert Template("{tns}|{drb}|{link}").render(VALUES) == "|".join([MISSING] * 3)
    assert Template("{magpsf:.1f}").render(notice(1, candidate={"magpsf": float("nan")}).values) == MISSING


def test_all_documented_fields_can_be_used() -> None:
    assert Template(" ".join(f"{{{name}}}" for name in FIELDS)).render(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "{objectId.__class__}",
        "{objectId[0]}",
        "{0}",
        "{}",
        "{objectId!r}",
        "{objectId!s}",
        "{magpsf:1000000000}",
        "{magpsf:{ra}}",
        "{magpsf:.2e}",
        "{magpsf:.99f}",
        "{password}",
        "{objectId",
        "objectId}",
        "{ objectId}",
        "x" * 1001,
    ],
)
def test_anything_else_in_braces_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Template(text)


def test_an_unknown_field_is_answered_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"no field.*objectId, candid, topic"):
        Template("{magnitude}")


@given(st.text(alphabet=st.sampled_from("{}:.!f2[]ra_ mgpsdec\n"), max_size=40))
def test_no_text_does_anything_but_render_or_be_refused(text: str) -> None:
    try:
        made = Template(text).render(VALUES)
    except ConfigError:
        return
    assert isinstance(made, str)


def test_values_are_not_read_as_templates_and_texts_are_bounded() -> None:
    hostile = {**VALUES, "finkclass": "{objectId.__class__}" * 1000}
    assert Template("{finkclass}").render(hostile)[:20] == "{objectId.__class__}"
    assert len(Template("{finkclass}").render(hostile)) == LONGEST_TEXT
