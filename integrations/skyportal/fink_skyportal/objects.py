"""One object in SkyPortal: what is there of it, and what an alert adds.

Every step may be repeated: the client may be killed between any two, or lose the answer to a request carried out. The
annotation comes last, so that an object that has one is complete.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from . import taxonomy
from .api import SkyPortal
from .errors import Refusal, Refused, RightMissing
from .premises import Premises

if TYPE_CHECKING:
    from .candidate import Candidate, Classification

ORIGIN = "Fink Science"
#: In the annotation: when its alert was exposed, Julian date in days.
OBSERVED_AT = "obstime (jd)"
#: Objects remembered, about 1 kB each.
REMEMBERED = 20_000

#: What is to be changed may have been deleted by somebody, and what is to be made may have been made.
_TRIES = 3
_BAD_REQUEST, _NOT_FOUND = 400, 404
#: Older versions refuse a candidate that is there.
_CANDIDATE_IS_THERE = re.compile(r"duplicate|already", re.IGNORECASE)


@dataclass(frozen=True)
class Options:
    """How alerts are posted.

    Parameters
    ----------
    save_sources : {"new", "always", "never"}
        Whether objects become sources of the groups: when first seen, with each alert, or not at all.
    connections : int
        Objects posted at the same time.
    author_name : str
        Name of the user who owns the token; empty if it is not known.
    """

    save_sources: Literal["new", "always", "never"] = "new"
    connections: int = 8
    author_name: str = ""


@dataclass
class Known:
    """What SkyPortal has of an object, as far as it matters to us."""

    is_there: bool = False
    saved_to: frozenset[int] = frozenset()
    has_thumbnails: bool = False
    annotation_id: int | None = None
    annotation: str = ""
    observed_at: float = float("-inf")
    author_id: int | None = None
    is_classification_known: bool = False
    classification_id: int | None = None
    classification: tuple[str, float | None] | None = None


class Objects:
    """Objects of alerts; each is used by one thread at a time.

    Parameters
    ----------
    api : SkyPortal
        Where they are.
    premises : Premises
        Filters, groups, taxonomy.
    options : Options
        How alerts are posted.
    """

    def __init__(self, api: SkyPortal, premises: Premises, options: Options) -> None:
        self.api, self.premises, self.options = api, premises, options
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, candidate: Candidate) -> None:
        """Make the object, its source, candidate and thumbnails.

        Raises
        ------
        Refused, RightMissing, TokenRefused, WrongAddress, Stopped
            As `SkyPortal.post`. Refused also if there is no filter for the topic.
        """
        if candidate.topic not in self.premises.filter_ids:
            answer = f"There is no filter for the topic {candidate.topic}: add it to the topics of the configuration."
            raise Refused(Refusal("", 0, answer))
        known = self._look_up(candidate.object_id)
        is_new = known.annotation_id is None
        position = {"id": candidate.object_id, "ra": candidate.ra, "dec": candidate.dec}
        groups = self.premises.group_ids[candidate.topic]
        is_unsaved = is_new and not known.saved_to.issuperset(groups)  # an alert before in the batch may have saved it
        if self.options.save_sources == "always" or (self.options.save_sources == "new" and is_unsaved):
            self.api.post("/api/sources", {**position, "group_ids": list(groups)})
            known.saved_to = known.saved_to.union(groups)
        body = {**position, "passed_at": candidate.passed_at, "passing_alert_id": candidate.candid}
        self._post_candidate(body, self.premises.filter_ids[candidate.topic])
        if is_new and not known.has_thumbnails:
            self._post_thumbnails(candidate)
            known.has_thumbnails = True

    def finish(self, candidate: Candidate) -> None:
        """Write class and annotation, unless those of a later alert are there; raises as `begin`."""
        known = self._look_up(candidate.object_id)
        if candidate.annotation.get(OBSERVED_AT, float("inf")) < known.observed_at:
            return
        if candidate.classification is not None:
            self._classify(candidate.object_id, candidate.classification, known)
        self._annotate(candidate, known)

    def _look_up(self, object_id: str) -> Known:
        """Return what is known of an object, asked for if need be; those not used for longest are forgotten."""
        with self._lock:
            known = self._known.get(object_id)
            if known is not None:
                self._known.move_to_end(object_id)
        if known is None:
            known = Known()
            self._look(object_id, known)
            with self._lock:
                self._known[object_id] = known
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return known

    def _look(self, object_id: str, known: Known) -> None:
        """Ask for the annotation of an object."""
        rows: list[Mapping[str, Any]] = []
        try:
            rows = self.api.get(_annotations(object_id))
            known.is_there = True
        except Refused as refused:
            if refused.refusal.status != _NOT_FOUND:
                raise
        row = next((row for row in rows if row.get("origin") == ORIGIN), None)
        known.annotation_id = None if row is None else row["id"]
        if row is not None:
            known.author_id = row.get("author_id")
            _note(known, row.get("data") or {})

    def _post_candidate(self, body: dict[str, Any], filter_ids: tuple[int, ...]) -> None:
        try:
            self.api.post("/api/candidates", {**body, "filter_ids": list(filter_ids)})
        except Refused as refused:
            if refused.refusal.status != _BAD_REQUEST:
                raise
            if len(filter_ids) > 1:  # all are refused if one is
                for filter_id in filter_ids:
                    self._post_candidate(body, (filter_id,))
            elif not _CANDIDATE_IS_THERE.search(refused.refusal.answer):
                raise

    def _post_thumbnails(self, candidate: Candidate) -> None:
        for kind, image in candidate.thumbnails().items():
            try:
                self.api.post("/api/thumbnail", {"obj_id": candidate.object_id, "data": image, "ttype": kind})
            except RightMissing:
                raise
            except Refused as refused:
                self.api.say(f"{candidate.object_id} stays without the thumbnail {kind}: {refused}")

    def _classify(self, object_id: str, wanted: Classification, known: Known) -> None:
        name = taxonomy.find(self.premises.hierarchy, wanted.name)
        if name is None:
            return
        if not known.is_classification_known:
            if known.is_there:
                self._look_for_classification(object_id, name, known)
            known.is_classification_known = True
        if known.classification == (name, wanted.probability):
            return
        body: dict[str, Any] = {
            "obj_id": object_id,
            "classification": name,
            "taxonomy_id": self.premises.taxonomy_id,
            "group_ids": self.premises.all_group_ids,
        }
        if wanted.probability is not None:
            body["probability"] = wanted.probability
        self._write_classification(object_id, body, known)

    def _write_classification(self, object_id: str, body: dict[str, Any], known: Known) -> None:
        wanted = (body["classification"], body.get("probability"))

        def carried_out() -> dict[str, Any] | None:
            self._look_for_classification(object_id, wanted[0], known)
            is_there = known.classification is not None and known.classification[0] == wanted[0]
            return {"classification_id": known.classification_id} if is_there else None

        for tries_left in reversed(range(_TRIES)):
            number = known.classification_id
            try:
                if number is None:
                    answer = self.api.post("/api/classification", body, carried_out)
                    known.classification_id = answer["classification_id"]
                else:
                    self.api.put(f"/api/classification/{number}", body)
            except Refused:
                if number is None or not tries_left:
                    raise
                self._look_for_classification(object_id, wanted[0], known)
                if known.classification_id == number:
                    raise
            else:
                known.classification = wanted
                known.is_there = True
                return

    def _look_for_classification(self, object_id: str, name: str, known: Known) -> None:
        """Ask for our own class of an object; of several, for the one that says the same, else the latest.

        Ours are those by the token's owner, and by whoever wrote the annotation. Where neither is known, the same class
        in our taxonomy counts as ours.
        """
        try:
            rows = self.api.get(f"/api/sources/{quote(object_id, safe='')}/classifications")
        except Refused as refused:
            if refused.refusal.status != _NOT_FOUND:
                raise
            rows = []
        rows = [row for row in rows if row.get("taxonomy_id") == self.premises.taxonomy_id]
        if self.options.author_name or known.author_id is not None:
            rows = [row for row in rows if self._is_ours(row, known)]
        else:
            rows = [row for row in rows if row.get("classification") == name]
        own = max(rows, key=lambda row: (row.get("classification") == name, row["id"]), default=None)
        known.classification_id = None if own is None else own["id"]
        known.classification = None if own is None else (own["classification"], own.get("probability"))

    def _is_ours(self, row: Mapping[str, Any], known: Known) -> bool:
        is_author = known.author_id is not None and row.get("author_id") == known.author_id
        return is_author or (bool(self.options.author_name) and row.get("author_name") == self.options.author_name)

    def _annotate(self, candidate: Candidate, known: Known) -> None:
        """Write the annotation; there is one of an origin and object, which an earlier try may have made."""
        path = _annotations(candidate.object_id)
        body = {"origin": ORIGIN, "data": candidate.annotation, "group_ids": self.premises.all_group_ids}
        for tries_left in reversed(range(_TRIES)):
            number = known.annotation_id
            if number is not None and known.annotation == _text(candidate.annotation):
                return
            try:
                if number is None:
                    known.annotation_id = self.api.post(path, body)["annotation_id"]
                else:
                    self.api.put(f"{path}/{number}", body)
            except Refused:
                self._look(candidate.object_id, known)
                if known.annotation_id == number or not tries_left:
                    raise
            else:
                _note(known, candidate.annotation)
                return


def _annotations(object_id: str) -> str:
    return f"/api/sources/{quote(object_id, safe='')}/annotations"


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True)


def _note(known: Known, data: Mapping[str, Any]) -> None:
    """Remember what the annotation says."""
    observed_at = data.get(OBSERVED_AT)
    known.annotation = _text(data)
    known.observed_at = observed_at if isinstance(observed_at, int | float) else float("-inf")
