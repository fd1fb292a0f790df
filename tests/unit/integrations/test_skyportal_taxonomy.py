"""The taxonomy: every class an alert may have is in it, and is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fink_skyportal import kilonova, taxonomy
from skyportal_rules.taxonomy import _check_hierarchy

from fink_broker.portal.class_names import FINK_CLASSES, SIMBAD_TYPES, TNS_TYPES
from fink_broker.science.finkclass import AMBIGUOUS, CLASSES, UNKNOWN

TREE = taxonomy.hierarchy()


def names(node: dict[str, Any]) -> list[str]:
    return [node["class"], *(name for below in node.get("subclasses", []) for name in names(below))]


def branch(name: str) -> set[str]:
    (node,) = [node for node in TREE["subclasses"] if node["class"] == name]
    return set(names(node)) - {name}


def test_skyportal_takes_it() -> None:
    _check_hierarchy(TREE)
    assert TREE["class"] == "Fink Taxonomy"
    assert [name for name, count in Counter(names(TREE)).items() if count > 1] == []


def test_branches_have_the_names_of_the_rest_api() -> None:
    assert branch("Fink classifiers") >= {*FINK_CLASSES, *CLASSES, AMBIGUOUS, UNKNOWN}
    assert branch("TNS classified data") == {f"(TNS) {name}" for name in TNS_TYPES}
    assert branch("Cross-match with SIMBAD") == {f"(SIMBAD) {name}" for name in SIMBAD_TYPES}


def test_kinds_of_kilonovae_are_below_kilonova() -> None:
    (node,) = [node for node in TREE["subclasses"][0]["subclasses"] if node["class"] == kilonova.KILONOVA]
    assert {below["class"] for below in node["subclasses"]} == set(kilonova.KILONOVA_TOPICS.values())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("SN candidate", "SN candidate"),
        ("(TNS) SN Ia", "(TNS) SN Ia"),
        ("SN Ia-91bg-like", "(TNS) SN Ia-91bg-like"),
        ("QSO", "(TNS) QSO"),
        ("RRLyr", "(SIMBAD) RRLyr"),
        ("EB*_Candidate", "(SIMBAD) EB*_Candidate"),
        ("Early SN candidate", "Early SN Ia candidate"),
        ("Fail 504", None),
        ("", None),
    ],
)
def test_find(name: str, found: str | None) -> None:
    assert taxonomy.find(TREE, name) == found


def test_find_in_somebody_elses_tree() -> None:
    tree = {"class": "A", "other names": None, "subclasses": [{"class": "B", "other names": ["b"]}, {"note": "none"}]}
    assert [taxonomy.find(tree, name) for name in ("B", "b", "c")] == ["B", "B", None]
