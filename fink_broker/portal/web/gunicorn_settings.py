"""How gunicorn runs the portal, whoever starts it: the launcher, and ``gunicorn.conf.py`` of the checkout, read this.

Each name below is a setting of gunicorn (https://docs.gunicorn.org/en/stable/settings.html).
"""

from __future__ import annotations

import os
from pathlib import Path

from fink_broker.portal.web.settings import portal_config

#: threads, since most of a request is waiting for the API: one that hangs must not keep all processes
worker_class = "gthread"
#: as many as the gate before the API reckons with
threads = portal_config(Path.cwd(), os.environ).portal.threads
#: seconds after which a process that shows no life is replaced; a skymap takes longer than gunicorn's own 30
timeout = 120
#: seconds that requests under way have when the portal is stopped
graceful_timeout = 8
#: bytes of an address: searches are part of it; the most gunicorn allows
limit_request_line = 8190
#: nothing but requests is listened to
control_socket_disable = True
