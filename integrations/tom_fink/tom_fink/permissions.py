"""Who may see data of a target, in a TOM that keeps a list of them for each datum (``TARGET_PERMISSIONS_ONLY``)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from guardian.shortcuts import assign_perm, get_groups_with_perms, get_users_with_perms
from guardian.utils import get_anonymous_user
from tom_targets.base_models import BaseTarget

#: Whoever has a login to a TOM is in this group.
PUBLIC = "Public"
_VIEW = "view_target"


def show(target: BaseTarget, data: QuerySet) -> None:
    """Let those who may see a target see data of it.

    The toolkit does so for files that a user uploads, not for what comes from brokers. It does nothing in a TOM where
    who may see a target may see its data, as is the default.

    Parameters
    ----------
    target : Target
        A target that is in the database.
    data : QuerySet
        Data of it; those that are seen already stay so.

    Raises
    ------
    django.db.DatabaseError
        If the database does not take it.
    """
    if getattr(settings, "TARGET_PERMISSIONS_ONLY", True):
        return
    permission = f"{data.model._meta.app_label}.view_{data.model._meta.model_name}"
    for viewer in _viewers(target):
        assign_perm(permission, viewer, data)


def _viewers(target: BaseTarget) -> list[Group | User]:
    groups = get_groups_with_perms(target, attach_perms=True)
    found = [group for group, permissions in groups.items() if _VIEW in permissions]
    found += get_users_with_perms(target, with_group_users=False, only_with_perms_in=[_VIEW])
    if target.permissions != BaseTarget.Permissions.PRIVATE:
        found.append(Group.objects.get_or_create(name=PUBLIC)[0])
    if target.permissions == BaseTarget.Permissions.OPEN:
        found.append(get_anonymous_user())
    return found
