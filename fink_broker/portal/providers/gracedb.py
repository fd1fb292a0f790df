"""GraceDB over HTTP: skymaps of gravitational-wave events of LIGO, Virgo and KAGRA."""

from __future__ import annotations

import re

from fink_broker.portal.providers.outside import Ask
from fink_broker.portal.providers.service import NOT_FOUND, OK, Knowing
from fink_broker.portal.route import RequestError

#: ``S190521g``, ``MS190425abc``, ``GW150914``
EVENT = re.compile(r"(M|T)?S\d{6}[a-z]{1,6}|GW\d{6}(_\d{6})?")
#: names of the file, flat map first
FILES = ("bayestar.fits.gz", "bayestar.multiorder.fits")
MOST_BYTES = 100 * 2**20
#: maps remembered, for an hour: a flat one is 1-50 MB
MOST_MAPS = 4
LARGEST_KEPT = 16 * 2**20
HOUR = 3600.0


class GraceDBService(Knowing[str, bytes]):
    """GraceDB."""

    name = "GraceDB"
    most_bytes = MOST_BYTES
    most_known = MOST_MAPS
    known_seconds = HOUR

    def skymap(self, event: str) -> bytes | None:
        """Return the FITS file of an event's skymap, or None if there is none.

        Raises
        ------
        RequestError
            If that is no name of an event.
        """
        if EVENT.fullmatch(event) is None:
            raise RequestError("`event_name` is not the name of an event. Give one like S190521g.\n")
        known = self._known.get(event)
        if known is not None:
            return known
        for name in FILES:
            reply = self._service.ask(Ask(f"{self._url}/superevents/{event}/files/{name}"))
            if reply.status == OK:
                return self._known.keep(event, reply.body) if len(reply.body) <= LARGEST_KEPT else reply.body
            if reply.status != NOT_FOUND:
                raise self._service.makes_no_sense(f"its status is {reply.status}")
        return None
