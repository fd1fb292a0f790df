"""CDS Sesame over HTTP: from the name of an object on the sky to what SIMBAD knows of it.

Its answer is XML (``-oxp``): one ``Resolver`` for each data base that was asked, whose children are the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from xml.parsers import expat

from fink_broker.portal.providers.outside import Ask
from fink_broker.portal.providers.providers import SKY_OBJECT_FIELDS, SkyObject
from fink_broker.portal.providers.service import OK, Knowing

MOST_BYTES = 2**20
#: most objects and longest text that are taken from an answer
MOST_OBJECTS = 100
LONGEST_TEXT = 1000
#: names remembered, for one day
MOST_NAMES = 1000
DAY = 86400.0


class NotSesame(ValueError):
    """The document is not what Sesame answers."""


class SesameService(Knowing[str, tuple[SkyObject, ...]]):
    """CDS Sesame."""

    name = "CDS Sesame"
    most_bytes = MOST_BYTES
    most_known = MOST_NAMES
    known_seconds = DAY

    def resolve(self, name: str) -> Sequence[SkyObject]:
        """Return what SIMBAD knows by that name."""
        known = self._known.get(name)
        if known is not None:
            return known
        reply = self._service.ask(Ask(f"{self._url}/-oxp/~S?{quote(name, safe='')}"))
        if reply.status != OK:
            raise self._service.makes_no_sense(f"its status is {reply.status}")
        try:
            found = read_sesame(reply.body)
        except NotSesame as error:
            raise self._service.makes_no_sense(str(error)) from error
        return self._known.keep(name, tuple(found))


def read_sesame(document: bytes) -> list[SkyObject]:
    """Return the objects in an answer of Sesame.

    Raises
    ------
    NotSesame
        If it is no XML, no answer of Sesame, or declares a document type, in which entities could hide.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise NotSesame(f"it is no XML ({error})") from error
    if not reader.is_sesame:
        raise NotSesame("it is no answer of Sesame")
    return reader.objects


class _Reader:
    def __init__(self) -> None:
        self.is_sesame = False
        self.objects: list[SkyObject] = []
        self._depth = 0
        self._resolver: dict[str, str] | None = None
        self._field = ""

    def document_type(self, *_: object) -> None:
        raise NotSesame("it declares a document type")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.is_sesame = tag == "Sesame"
        elif tag == "Resolver" and len(self.objects) < MOST_OBJECTS:
            self._resolver = {"name": attributes.get("name", "")[:LONGEST_TEXT]}
        elif self._resolver is not None and tag in SKY_OBJECT_FIELDS and tag not in self._resolver:
            self._field = tag
            self._resolver[tag] = ""

    def text(self, text: str) -> None:
        if self._resolver is not None and self._field:
            self._resolver[self._field] = (self._resolver[self._field] + text)[:LONGEST_TEXT]

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == self._field:
            self._field = ""
        elif tag == "Resolver" and self._resolver is not None:
            fields = {name: text.strip() for name, text in self._resolver.items()}
            if fields.get("oname") or fields.get("jradeg"):  # a data base that found nothing answers with a remark
                self.objects.append(SkyObject(**fields))
            self._resolver = None
