"""quaero over HTTP, the name server of SsODNet (Berthier et al. 2023, A&A 671, A151): names of asteroids and comets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fink_broker.portal.providers.outside import Ask
from fink_broker.portal.providers.providers import SmallBody
from fink_broker.portal.providers.service import Knowing

MOST_BYTES = 2 * 2**20
MOST_NAMES = 5000
DAY = 86400.0
#: matches asked for; the one that goes by the name exactly is among the first
MATCHES = 100
#: aliases and length of a name that are taken from an answer
MOST_ALIASES = 200
LONGEST_NAME = 100
KINDS = {"Asteroid": False, "Dwarf Planet": False, "Comet": True, "Interstellar Object": True}

#: ``1P``, ``73P-B``, ``C/2014UN271``, ``1I``
_COMET = re.compile(r"\d{1,4}[PDI](-[A-Z]{1,2})?|([CPDXAI]/).+", re.IGNORECASE)
_DESIGNATION = re.compile(r"([CPDXAI]/)?(\d{4})([A-Z]{1,2}\d{0,4}(-[A-Z]{1,2})?)", re.IGNORECASE)


def is_comet_name(name: str) -> bool:
    """Tell whether a name is that of a comet."""
    return _COMET.fullmatch(name) is not None


def with_blank(name: str) -> str:
    """Return a provisional designation as officially written (``2010JO69`` → ``2010 JO69``), others as they are."""
    match = _DESIGNATION.fullmatch(name)
    return f"{match[1] or ''}{match[2]} {match[3]}" if match else name


def plain(name: str) -> str:
    """Return a name as names are compared: without blanks, in lower case."""
    return re.sub(r"[\s_]", "", name).lower()


class QuaeroService(Knowing[str, tuple[SmallBody, ...]]):
    """quaero."""

    name = "SsODNet"
    most_bytes = MOST_BYTES
    most_known = MOST_NAMES
    known_seconds = DAY

    def identify(self, name: str) -> SmallBody | None:
        """Return the object that goes by exactly that name or number, blanks and case aside."""
        wanted = plain(name)
        known = self._known.get(wanted)
        if known is None:
            known = self._known.keep(wanted, tuple(self._ask(name, wanted)))
        return known[0] if known else None

    def _ask(self, name: str, wanted: str) -> Iterable[SmallBody]:
        kinds = " OR ".join(f'"{kind}"' for kind in KINDS)
        quoted = with_blank(name).replace("\\", "").replace('"', "")
        query = f'type:({kinds}) AND "{quoted}"~0'
        parameters = {"q": query, "from": "fink", "limit": str(MATCHES)}
        content = self._service.ask_json(Ask(f"{self._url}/sso/search", parameters))
        if content is None or content == []:
            return ()
        data = content.get("data", []) if isinstance(content, dict) else None
        if not isinstance(data, list):
            raise self._service.makes_no_sense("it has no list of objects")
        bodies = [body for entry in data[:MATCHES] if (body := _body(entry)) is not None]
        exact = [body for body in bodies if wanted in {plain(body.name), *map(plain, body.aliases)}]
        # the main name counts more than an alias: a comet's name is also that of the asteroid it was taken for
        return sorted(exact, key=lambda body: plain(body.name) != wanted)


def _body(entry: Any) -> SmallBody | None:
    if not isinstance(entry, dict) or entry.get("type") not in KINDS:
        return None
    name, aliases = entry.get("name"), entry.get("aliases", [])
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not isinstance(aliases, list):
        return None
    texts = tuple(str(alias) for alias in aliases[:MOST_ALIASES] if len(str(alias)) <= LONGEST_NAME)
    is_comet = KINDS[entry["type"]]
    numbers = [int(text) for text in (name, *texts) if text.isascii() and text.isdigit() and len(text) < 10]
    return SmallBody(name, min(numbers) if numbers and not is_comet else None, is_comet, texts)
