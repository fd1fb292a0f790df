"""Who may write: nobody, unless the configuration says so and the client gives the token."""

from __future__ import annotations

import hmac
import os

from fink_broker.portal.route import Query, RequestError

#: environment variable of the token
TOKEN = "FINK_API_TOKEN"  # noqa: S105 - its name, not the token
UNAUTHORIZED, FORBIDDEN = 401, 403


def check_may_write(query: Query) -> None:
    """Return if the request may write.

    Raises
    ------
    RequestError
        403 if nobody may, 401 if the token is missing or wrong.
    """
    expected = os.environ.get(TOKEN, "")
    if not query.config.api.writable or not expected:
        raise RequestError("This API takes no data. Its operators can allow it (api.writable).\n", FORBIDDEN)
    # compared in a time that does not tell how much of it is right
    if not hmac.compare_digest(query.token.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")):
        how = "`Authorization: Bearer <token>` or `X-Fink-Token: <token>`"
        raise RequestError(f"Data are taken with a token only: {how}.\n", UNAUTHORIZED)
