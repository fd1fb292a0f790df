"""Names that others gave: what the Transient Name Server, SIMBAD and SsODNet know by them, through the API."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.search.rules import Known

#: most objects that are offered by a name
MOST_KNOWN = 10
LONGEST_NAME = 100
#: seconds after which a name is looked for no longer
ANSWER_SECONDS = 5.0
TNS, SIMBAD, SSODNET = "TNS", "SIMBAD", "SsODNet"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]{3,40}", re.ASCII)
_IN_THE_WAY = re.compile(r"[^\w+.*/()'’ -]")
#: questions to others under way at the same time, of all visitors: fewer than the portal may ask its API at once
_places = threading.BoundedSemaphore(4)

_Asker = Callable[[str, Api], list["Known"]]


@dataclass(frozen=True)
class Naming:
    """What is known by a name.

    Parameters
    ----------
    known : tuple of Known
        Objects so called, one if it is clear which one is meant.
    away : tuple of str
        Who could not be asked.
    """

    known: tuple[Known, ...] = ()
    away: tuple[str, ...] = ()


def named(name: str, api: Api, seconds: float = ANSWER_SECONDS) -> Naming:
    """Return what is known by a name: by the first who knows it, of TNS, SIMBAD and SsODNet.

    The former two are asked only for names that begin with a letter. Who does not answer is left out.

    Parameters
    ----------
    name : str
        As typed.
    api : Api
        The REST API.
    seconds : float
        Time that SIMBAD and SsODNet have, both together.

    Raises
    ------
    ApiError
        If the API itself does not answer.
    """
    name = " ".join(name.split())
    if not 2 <= len(name) <= LONGEST_NAME or _IN_THE_WAY.search(name):
        return Naming()
    deadline = time.monotonic() + seconds
    answers: list[tuple[str, Callable[[], list[Known]]]] = []
    if name[0].isalpha():  # names of the TNS are in the archive: what it knows nobody outside is asked for
        answers.append((TNS, lambda: _transients(name, api)))
    away: list[str] = []
    found = _first_found(answers, away)
    if not found:
        others = [(SIMBAD, _catalogued), (SSODNET, _small_bodies)] if answers else [(SSODNET, _small_bodies)]
        found = _first_found([(origin, _asked(ask, name, api, deadline)) for origin, ask in others], away)
    return Naming(_clear(name, found), tuple(away))


def _first_found(answers: Sequence[tuple[str, Callable[[], list[Known]]]], away: list[str]) -> list[Known]:
    """Return what the first knows who knows anything; who does not answer joins those who are away."""
    for origin, answer in answers:
        try:
            found = answer()
        except TimeoutError:
            away.append(origin)
            continue
        except ApiError as error:
            if error.status == 0:
                raise
            if error.status != 400:  # a name that a service does not take is a name that it does not know
                away.append(origin)
            continue
        if found:
            return found
    return []


def _asked(ask: _Asker, name: str, api: Api, deadline: float) -> Callable[[], list[Known]]:
    """Ask in a thread of its own, and return what waits for the answer; it raises TimeoutError at the deadline."""

    def left() -> float:
        return max(0.0, deadline - time.monotonic())

    future: Future[list[Known]] = Future()

    def work() -> None:
        try:
            future.set_result(ask(name, api))
        except Exception as error:  # whoever waits for the answer gets it
            future.set_exception(error)
        finally:
            _places.release()

    if _places.acquire(timeout=left()):
        threading.Thread(target=work, name="names", daemon=True).start()
    else:
        future.set_exception(TimeoutError())
    return lambda: future.result(left())


def object_at(object_id: str, api: Api) -> Known | None:
    """Return where an object of the archive is, None if there is none of this name; raises ApiError."""
    rows = api.rows("objects", objectId=object_id, columns="i:objectId,i:jd,i:ra,i:dec")
    if rows.empty:
        return None
    latest = rows.iloc[0]
    return Known(object_id, "ZTF", float(latest["i:ra"]), float(latest["i:dec"]))


def _transients(name: str, api: Api) -> list[Known]:
    rows = _records(api, resolver="tns", name=name, nmax=MOST_KNOWN)
    if not rows and _PLAIN_NAME.fullmatch(name):
        rows = _records(api, resolver="tns", name=name, reverse="True", nmax=MOST_KNOWN)
    return list(_of_tns(rows))


def _of_tns(rows: Sequence[Mapping[str, Any]]) -> Iterator[Known]:
    for row in rows:
        position = _position(row.get("d:ra"), row.get("d:declination"))
        if position:
            redshift = _number(row.get("d:redshift"))
            notes = [
                text_or_nothing(row.get("d:type")),
                f"z = {redshift:g}" if redshift else "",
                text_or_nothing(row.get("d:internalname")),
            ]
            yield Known(text_or_nothing(row.get("d:fullname")), TNS, *position, ", ".join(filter(None, notes)))


def _catalogued(name: str, api: Api) -> list[Known]:
    found = []
    for row in _records(api, resolver="simbad", name=name, nmax=MOST_KNOWN):
        position = _position(row.get("jradeg"), row.get("jdedeg"))
        if position:
            found.append(
                Known(text_or_nothing(row.get("oname")) or name, SIMBAD, *position, text_or_nothing(row.get("otype")))
            )
    return found


def _small_bodies(name: str, api: Api) -> list[Known]:
    found: dict[str, Known] = {}
    for row in _records(api, resolver="ssodnet", name=name, nmax=MOST_KNOWN):
        number, official = text_or_nothing(row.get("i:number")), text_or_nothing(row.get("i:name"))
        label = official or number or text_or_nothing(row.get("i:ssnamenr"))
        if label:
            found.setdefault(label, Known(label, SSODNET, note=f"({number})" if number and number != label else ""))
    return list(found.values())


def _clear(name: str, found: list[Known]) -> tuple[Known, ...]:
    """Return the one object that is called exactly so, if there is one, else all."""
    wanted = _bare(name)
    exact = [each for each in found if wanted in (_bare(each.label), _bare(each.note))]
    return (exact[0],) if len(exact) == 1 else tuple(found[:MOST_KNOWN])


def _bare(name: str) -> str:
    return "".join(name.split()).strip("()").casefold()


def _records(api: Api, **arguments: Any) -> list[Mapping[str, Any]]:
    answer = api.document("resolver", **arguments)
    return [row for row in answer if isinstance(row, Mapping)] if isinstance(answer, list) else []


def _position(ra: Any, dec: Any) -> tuple[float, float] | None:
    numbers = _number(ra), _number(dec)
    if numbers[0] is None or numbers[1] is None or not -90 <= numbers[1] <= 90:
        return None
    return numbers[0] % 360.0, numbers[1]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def text_or_nothing(value: Any) -> str:
    """Return a value as text, empty where it stands for nothing."""
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in ("nan", "none", "null") else text
