"""``python -m fink_broker`` is the ``fink`` command."""

import sys

from fink_broker.cli import main

sys.exit(main())
