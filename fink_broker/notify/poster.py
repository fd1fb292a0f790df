"""One HTTP request to a far end, and what came of it. No outcome contains the address."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
import urllib3

from fink_broker.notify.scrub import scrub
from fink_broker.notify.webhook import Webhook

#: Bytes of an answer that are looked at.
MOST_ANSWER_BYTES = 16 * 1024
_SHOWN_CHARACTERS = 200
#: Beside 5xx, what time may mend: request time-out, too early, too many requests.
_PASSING = (408, 425, 429)


@dataclass(frozen=True)
class Outcome:
    """What came of a request.

    Parameters
    ----------
    result : {"accepted", "later", "refused"}
        later: time may mend it. refused: asking again would not help.
    reason : str
        Why not, in a few words, without the address.
    asked_seconds : float or None
        For how long the far end asked to be left alone.
    """

    result: Literal["accepted", "later", "refused"]
    reason: str = ""
    asked_seconds: float | None = None


class Poster:
    """Posts to one webhook.

    Redirects are not followed, certificates are verified, and of an answer only the beginning is read.

    Parameters
    ----------
    webhook : Webhook
        Where to.
    connect_seconds, answer_seconds : float
        Time-outs of the connection and of the answer.
    """

    def __init__(self, webhook: Webhook, connect_seconds: float = 5.0, answer_seconds: float = 10.0) -> None:
        self.webhook = webhook
        self.connect_seconds, self.answer_seconds = connect_seconds, answer_seconds

    def post(self, body: bytes) -> Outcome:
        """Post once.

        Parameters
        ----------
        body : bytes
            JSON text.
        """
        try:
            # a session for each: a connection kept open for minutes is cut by someone on the way, unnoticed
            with requests.Session() as session:
                session.trust_env = not self.webhook.on_loopback  # no proxy to this machine
                return self._ask(session, body)
        except requests.exceptions.SSLError:
            return Outcome("later", "its certificate cannot be verified")
        except requests.exceptions.ConnectTimeout:
            return Outcome("later", f"no connection within {self.connect_seconds:g} s")
        except requests.exceptions.Timeout:
            return Outcome("later", f"no answer within {self.answer_seconds:g} s")
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # the texts of these exceptions contain the address: only what the system says is repeated
            return Outcome("later", f"no connection, or it broke off{_system_reason(error)}")

    def _ask(self, session: requests.Session, body: bytes) -> Outcome:
        with session.post(
            self.webhook.url,
            data=body,
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "fink-broker",
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
            timeout=(self.connect_seconds, self.answer_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            answer = self._read(response)
            return self._judge(response, answer)

    def _read(self, response: requests.Response) -> bytes:
        """Return the beginning of an answer, as far as it comes in time."""
        deadline, answer = time.monotonic() + self.answer_seconds, b""
        try:
            while len(answer) < MOST_ANSWER_BYTES and time.monotonic() < deadline:
                part = response.raw.read1(4096, decode_content=False)
                if not part:
                    break
                answer += part
        except (urllib3.exceptions.HTTPError, OSError):
            pass  # the status has come, and it is the status that counts
        return answer

    def _judge(self, response: requests.Response, answer: bytes) -> Outcome:
        status = response.status_code
        if status < 300:
            return self._believe(answer)
        reason = f"HTTP {status}{self._told(answer)}"
        if status in _PASSING or status >= 500:
            return Outcome("later", reason, _asked(response, answer))
        if status < 400:
            return Outcome("refused", f"HTTP {status}: it redirects, which is not followed; set the final address")
        return Outcome("refused", reason)

    def _believe(self, answer: bytes) -> Outcome:
        """See whether an answer with a good status is one of the far end."""
        if self.webhook.kind == "json":
            return Outcome("accepted")
        if answer.lstrip().startswith(b"<"):  # a page: of a proxy, or of the login of a network
            return Outcome("later", "a web page answered, not the far end")
        if self.webhook.kind == "telegram" and answer:
            content = _parsed(answer)
            if content is None and answer.startswith(b'{"ok":true'):  # it repeats the message, and may be long
                return Outcome("accepted")
            if content is None:
                return Outcome("later", f"the answer is no JSON{self._told(answer)}")
            if content.get("ok") is not True:
                return Outcome("refused", f"not ok{self._told(answer)}")
        return Outcome("accepted")

    def _told(self, answer: bytes) -> str:
        words = " ".join(answer.decode("utf-8", "replace").split())
        printable = "".join(letter for letter in words if letter.isprintable())
        # scrubbed before it is cut: half an address would not be found
        told = scrub(printable, self.webhook.url)[:_SHOWN_CHARACTERS]
        return f": {told}" if told else ""


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _asked(response: requests.Response, answer: bytes) -> float | None:
    """Return the seconds a far end asks for: the header Retry-After (RFC 9110, 10.2.3), or as Telegram has it."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    if value:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None
    asked = ((_parsed(answer) or {}).get("parameters") or {}) if answer else {}
    seconds = asked.get("retry_after") if isinstance(asked, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e9 else None


def _system_reason(error: BaseException | None) -> str:
    """Return what the system says of a failed connection, from the exceptions below this one."""
    for _ in range(10):
        if error is None:
            break
        if isinstance(error, OSError) and error.strerror and error.errno:
            return f" ({error.strerror.lower()})"
        reason = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, Exception)), None)
        error = reason if isinstance(reason, BaseException) else error.__context__
    return ""
