"""Light curves in the database: each exposure once, as the plots of TOM Toolkit read them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import curve_row, stored_light_curve
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import IntegrityError, connection, transaction
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from guardian.shortcuts import assign_perm
from tom_fink import photometry
from tom_fink.alerts.light_curve import Point, points
from tom_fink.photometry import points_of_rows, store
from tom_targets.models import Target

JD = 2459376.7153472
TIME = datetime(2021, 6, 11, 5, 10, 5, 998000, UTC)


def point(jd: float = JD, magnitude: float | None = 18.7, **changes: object) -> Point:
    measured = {"magnitude": magnitude, "error": None if magnitude is None else 0.05, "limit": 20.5}
    rest = {"band": "g", "is_positive": True, "ra": 193.8, "dec": 2.9, "candid": 1}
    return Point(**{"jd": jd, **measured, **rest, **changes})


def target(name: str = "ZTF21abfmbix") -> Target:
    return Target.objects.create(name=name, type="SIDEREAL", ra=193.8, dec=2.9)


def test_detections_and_limits_are_stored_with_their_time_in_utc(database: None) -> None:
    one = target()
    assert store(one, [point(), point(JD + 1, None, band="r"), point(JD + 2, 19.0, is_positive=False, band="i")]) == 3
    assert stored_light_curve(one) == [
        (TIME, "g", 18.7, 0.05, None, {}, "Fink"),
        (TIME + timedelta(days=1), "r", None, None, 20.5, {}, "Fink"),
        (TIME + timedelta(days=2), "i", 19.0, 0.05, None, {"is_positive": False}, "Fink"),
    ]


def test_what_is_there_is_not_stored_again(database: None) -> None:
    one, other = target(), target("ZTF21aaxtctv")
    assert store(one, [point(), point(), point(JD, None)]) == 2
    assert store(one, [point(JD, None), point(), point(JD + 1)]) == 1
    assert store(one, []) == 0
    assert store(other, [point()]) == 1
    assert len(stored_light_curve(one)) == 3


def test_magnitudes_of_packets_and_of_the_api_are_the_same(database: None) -> None:
    one = target()
    in_packet = 18.700000762939453  # 18.7 as a 32-bit float
    packet = {
        "candidate": {"jd": JD, "fid": 1, "magpsf": in_packet, "sigmapsf": 0.05000000074505806, "diffmaglim": 20.5}
    }
    assert store(one, points(packet | {"prv_candidates": None})) == 1
    assert store(one, points_of_rows([curve_row(JD, magnitude=18.7)])) == 0
    ((_, _, magnitude, error, _, _, _),) = stored_light_curve(one)
    assert (magnitude, error) == (18.7, 0.05)


def test_fewer_digits_in_the_history_of_a_later_packet_are_the_same_magnitude(database: None) -> None:
    one = target()
    assert store(one, [point(magnitude=18.425804)]) == 1
    assert store(one, [point(magnitude=18.4258)]) == 0


def test_several_magnitudes_of_an_exposure_are_kept(database: None) -> None:
    one = target()
    assert store(one, [point(), point(magnitude=18.9), point(band="r")]) == 3


def test_times_without_a_date_are_left_out(database: None) -> None:
    one = target()
    assert store(one, [point(1e300), point(-1e12), point(float("nan")), point()]) == 1


def test_thousands_of_points_take_few_statements(database: None, django_statements: Callable[[], Any]) -> None:
    one = target()
    curve = [point(JD + index, 18.0 + index / 1000) for index in range(1575)]
    with django_statements() as statements:
        assert store(one, curve) == 1575
    assert len(statements) < 30
    with django_statements() as statements:
        assert store(one, curve) == 0
    assert len(statements) <= 5


def test_a_failure_stores_nothing(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = target()

    def fails(*_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(photometry.conf, "object_link", fails)
    with pytest.raises(IntegrityError), transaction.atomic():
        store(one, [point()])
    monkeypatch.undo()
    assert stored_light_curve(one) == []


def test_two_writers_at_once_double_nothing(committed_database: None) -> None:
    one = target()
    curve = [point(JD + index) for index in range(50)]
    together, new, failed = threading.Barrier(4, timeout=10), [], []

    def write() -> None:
        try:
            together.wait()
            new.append(store(one, curve))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert sum(new) == len(stored_light_curve(one)) == 50


def test_rows_of_the_api_are_a_light_curve() -> None:
    rows = [
        curve_row(JD + 2, 2, 18.5),
        curve_row(JD, 1, None),
        curve_row(JD + 1, 3, 19.0, **{"i:isdiffpos": "f"}),
        curve_row(JD + 3, 1, 17.0, **{"d:tag": "badquality"}),
        curve_row(JD + 4, 7, 17.0),
        {"i:objectId": "ZTF21abfmbix"},
        {"i:jd": str(JD + 5), "i:fid": "1", "i:magpsf": "18.5", "i:sigmapsf": "0.1", "i:diffmaglim": "20"},
        curve_row(JD + 6, 1.0, 18.25, **{"i:candid": 1.5}),
    ]
    found = points_of_rows(rows)
    assert [(one.jd, one.band, one.magnitude, one.limit, one.is_positive) for one in found] == [
        (JD, "g", None, 20.5, False),
        (JD + 1, "i", 19.0, 20.5, False),
        (JD + 2, "r", 18.5, 20.5, True),
        (JD + 5, "g", 18.5, 20.0, False),
        (JD + 6, "g", 18.25, 20.5, True),
    ]
    assert found[-1].candid is None


def test_the_plot_of_the_toolkit_shows_detections_and_limits(database: None) -> None:
    one = target()
    store(one, [point(), point(JD + 1, None, band="r", limit=20.25)])
    template = Template("{% load dataproduct_extras %}{% photometry_for_target target %}")
    request = RequestFactory().get("/")
    with override_settings(TARGET_PERMISSIONS_ONLY=True):
        page = template.render(Context({"target": one, "request": request}))
    for part in ("18.7", "20.25", '"name":"g"', '"name":"r non-detection"', "2021-06-11T05:10:05.998"):
        assert part in page


def plotted(one: Target, user: User | AnonymousUser) -> bool:
    request = RequestFactory().get("/")
    request.user = user
    template = Template("{% load dataproduct_extras %}{% photometry_for_target target %}")
    return "18.7" in template.render(Context({"target": one, "request": request}))


def test_who_may_see_the_target_sees_its_light_curve_where_that_is_asked_for_each_datum(database: None) -> None:
    group, public = Group.objects.create(name="observers"), Group.objects.get_or_create(name="Public")[0]
    observer, guest, stranger, later = (User.objects.create(username=name) for name in ("o", "g", "s", "l"))
    observer.groups.add(group)
    stranger.groups.add(public)
    one = target()
    assign_perm("tom_targets.view_target", group, one)
    assign_perm("tom_targets.view_target", guest, one)
    assign_perm("tom_targets.change_target", public, one)
    with override_settings(TARGET_PERMISSIONS_ONLY=False):
        assert store(one, [point()]) == 1
        assert [plotted(one, user) for user in (observer, guest, stranger, later)] == [True, True, False, False]
        assign_perm("tom_targets.view_target", later, one)
        assert store(one, [point()]) == 0
        assert plotted(one, later)


@pytest.mark.parametrize(("access", "is_open"), [("PUBLIC", False), ("OPEN", True)])
def test_the_light_curve_of_a_public_target_is_public(database: None, access: str, is_open: bool) -> None:
    member, one = User.objects.create(username="m"), target()
    member.groups.add(Group.objects.get_or_create(name="Public")[0])
    one.permissions = access
    with override_settings(TARGET_PERMISSIONS_ONLY=False):
        store(one, [point()])
        assert plotted(one, member)
        assert plotted(one, AnonymousUser()) is is_open
