"""Targets from alerts: one for each object, in the list of each topic, seen by whoever is in the group Public."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test import override_settings
from guardian.shortcuts import get_groups_with_perms
from tom_fink.targets import list_of, position, save_target
from tom_targets.models import Target, TargetList, TargetName
from tom_targets.permissions import targets_for_user

TOPIC = "fink_sn_candidates_ztf"


def alert(name: str = "ZTF21abfmbix", **candidate: object) -> dict:
    return {"objectId": name, "candidate": {"ra": 193.8, "dec": 2.9, "jd": 2459376.7, **candidate}}


def listed(topic: str) -> set[str]:
    return set(TargetList.objects.get(name=topic).targets.values_list("name", flat=True))


def test_a_target_has_position_epoch_and_link_and_is_listed(database: None) -> None:
    with override_settings(FINK_PORTAL_URL="https://portal.test"):
        target, is_new = save_target(alert(), TOPIC)
    assert is_new
    assert (target.type, target.ra, target.dec, target.epoch) == ("SIDEREAL", 193.8, 2.9, 2459376.7)
    assert target.targetextra_set.get(key="fink broker link").value == "https://portal.test/ZTF21abfmbix"
    assert listed(TOPIC) == {"ZTF21abfmbix"}


def test_the_same_object_again_is_one_target_and_joins_a_later_list(database: None) -> None:
    first, _ = save_target(alert(), TOPIC)
    for topic in (TOPIC, "fink_vra_ztf"):
        again, is_new = save_target(alert(ra=10.0), topic)
        assert (again.pk, is_new, again.ra) == (first.pk, False, 193.8)
        assert listed(topic) == {"ZTF21abfmbix"}


def test_a_target_made_by_hand_is_listed_and_gets_its_link(database: None) -> None:
    mine = Target.objects.create(name="ZTF21abfmbix", type="SIDEREAL", ra=1.0, dec=2.0, epoch=2000.0)
    save_target(alert(), TOPIC)
    mine.refresh_from_db()
    assert (mine.ra, mine.epoch) == (1.0, 2000.0)
    assert mine.targetextra_set.filter(key="fink broker link").count() == 1
    assert listed(TOPIC) == {"ZTF21abfmbix"}


def test_an_object_known_by_another_name_is_that_target(database: None) -> None:
    mine = Target.objects.create(name="SN 2021abc", type="SIDEREAL", ra=193.8, dec=2.9)
    TargetName.objects.create(target=mine, name="ZTF21abfmbix")
    assert save_target(alert(), TOPIC) == (mine, False)
    assert Target.objects.count() == 1


@pytest.mark.parametrize("default", ["PRIVATE", "PUBLIC", "OPEN"])
def test_the_public_sees_list_and_target(database: None, default: str) -> None:
    user = User.objects.create_user("somebody")
    user.groups.add(Group.objects.get_or_create(name="Public")[0])
    with override_settings(TARGET_DEFAULT_PERMISSION=default):
        target, _ = save_target(alert(), TOPIC)
    assert target.permissions == default
    assert list(targets_for_user(user, Target.objects.all(), "view_target")) == [target]
    assert user.has_perm("tom_targets.view_targetlist", TargetList.objects.get(name=TOPIC))
    stranger = User.objects.create_user("stranger")
    stranger.groups.clear()
    assert targets_for_user(stranger, Target.objects.all(), "view_target").exists() is (default != "PRIVATE")
    assert not stranger.has_perm("tom_targets.view_targetlist", TargetList.objects.get(name=TOPIC))


def test_the_public_may_only_look(database: None) -> None:
    target, _ = save_target(alert(), TOPIC)
    (granted,) = get_groups_with_perms(list_of(TOPIC), attach_perms=True).values()
    assert granted == ["view_targetlist"]
    for permissions in get_groups_with_perms(target, attach_perms=True).values():
        assert permissions == ["view_target"]


def test_of_lists_with_one_name_the_first_is_used(database: None) -> None:
    first, _ = TargetList.objects.create(name=TOPIC), TargetList.objects.create(name=TOPIC)
    save_target(alert(), TOPIC)
    assert first.targets.count() == 1
    assert TargetList.objects.filter(name=TOPIC).count() == 2


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"objectId": "ZTF21abfmbix"},
        {"objectId": "ZTF21abfmbix", "candidate": None},
        {"objectId": "", **{"candidate": alert()["candidate"]}},
        alert(ra=None),
        alert(dec=float("nan")),
        alert(jd="yesterday"),
    ],
)
def test_without_a_position_there_is_no_target(database: None, told: dict) -> None:
    assert position(told) is None
    with pytest.raises(ValueError, match="no position"):
        save_target(told, TOPIC)
    assert not Target.objects.exists()


def test_threads_with_the_same_objects_make_each_target_and_list_once(committed_database: None) -> None:
    names, failures = [f"ZTF21aaaaaa{letter}" for letter in "abcde"], []
    begin = threading.Barrier(4)

    def work(topic: str) -> None:
        try:
            begin.wait(10)
            for name in names:
                save_target(alert(name), topic)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(topic,)) for topic in (TOPIC, TOPIC, "fink_vra_ztf", "fink_vra_ztf")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert sorted(Target.objects.values_list("name", flat=True)) == names
    assert sorted(TargetList.objects.values_list("name", flat=True)) == [TOPIC, "fink_vra_ztf"]
    assert listed(TOPIC) == listed("fink_vra_ztf") == set(names)
