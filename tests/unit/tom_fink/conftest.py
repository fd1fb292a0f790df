"""Tests of the TOM module run inside an environment of TOM Toolkit; without one there is nothing to collect."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("tom_common") else ["inside"]
