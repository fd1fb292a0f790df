"""Targets from alerts: one for each object, in a list for each topic, to be seen by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q
from guardian.shortcuts import assign_perm
from tom_targets.base_models import get_target_model_app_label
from tom_targets.models import Target, TargetExtra, TargetList

from . import conf
from .alerts.light_curve import number

#: Whoever uses a TOM is in this group.
PUBLIC = "Public"
LINK = "fink broker link"


def position(alert: Mapping[str, Any]) -> tuple[str, float, float, float] | None:
    """Return name, right ascension and declination (deg) and time (d, Julian date) of an alert.

    Returns
    -------
    tuple or None
        None if it lacks one of them: alerts of gravitational waves, for example, have no position.
    """
    candidate, name = alert.get("candidate"), alert.get("objectId")
    if not isinstance(candidate, Mapping) or not isinstance(name, str) or not name:
        return None
    ra, dec, jd = (number(candidate.get(key)) for key in ("ra", "dec", "jd"))
    if ra is None or dec is None or jd is None:
        return None
    return name, ra, dec, jd


def save_target(alert: Mapping[str, Any], topic: str) -> tuple[Target, bool]:
    """Save the object of an alert as a target in the list of a topic.

    An object that the TOM knows under another name, of which the alert's is an alias, is that target.

    Parameters
    ----------
    alert : mapping
        With ``objectId``, and ``candidate`` with ra, dec (deg) and jd (d).
    topic : str
        Name of the topic.

    Returns
    -------
    Target, bool
        The target, and whether it is new.

    Raises
    ------
    ValueError
        If the alert has no position.
    django.db.DatabaseError
        If the database does not take it; nothing is saved then.
    """
    found = position(alert)
    if found is None:
        raise ValueError("The alert has no position.")
    name, ra, dec, jd = found
    target = _find(name)
    if target is not None and _is_complete(target, topic):
        return target, False
    with transaction.atomic():
        target_list = _list_of(topic)
        target, is_new = _find(name), False
        if target is None:
            start = {"type": Target.SIDEREAL, "ra": ra, "dec": dec, "epoch": jd}
            target, is_new = Target.objects.get_or_create(name=name, defaults=start)
        if is_new and target.permissions == Target.Permissions.PRIVATE:
            assign_perm(f"{get_target_model_app_label()}.view_target", _public(), target)
        TargetExtra.objects.get_or_create(target=target, key=LINK, defaults={"value": conf.object_link(name)})
        target_list.targets.add(target)
    return target, is_new


def list_of(topic: str) -> TargetList:
    """Return the list of a topic's targets, made where there is none.

    Raises
    ------
    django.db.DatabaseError
        If the database does not take it.
    """
    with transaction.atomic():
        return _list_of(topic)


def _list_of(topic: str) -> TargetList:
    """Return the list; to be called at the beginning of a transaction.

    Names of lists need not be unique. A write comes first, so that whoever else would make the list waits for us;
    SQLite lets nobody wait who has read before he writes.
    """
    Group.objects.filter(name=PUBLIC).update(name=PUBLIC)
    target_list = TargetList.objects.filter(name=topic).order_by("pk").first()
    if target_list is None:
        target_list = TargetList.objects.create(name=topic)
        assign_perm("tom_targets.view_targetlist", _public(), target_list)
    return target_list


def _public() -> Group:
    return Group.objects.get_or_create(name=PUBLIC)[0]


def _find(name: str) -> Target | None:
    return Target.objects.filter(Q(name=name) | Q(aliases__name=name)).order_by("pk").first()


def _is_complete(target: Target, topic: str) -> bool:
    """Tell whether a target is in the list and has its link, so that nothing needs to be written."""
    is_listed = TargetList.objects.filter(name=topic, targets=target.pk).exists()
    return is_listed and TargetExtra.objects.filter(target=target, key=LINK).exists()
