"""Names near a name: the hint after a slip of the pen."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def near_names(name: str, known: Sequence[str], what: str) -> str:
    """Return a hint: the names most like this one, or all of them (some, of many) where none is like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    near += [path for path in known if path.endswith(f".{name}") and path not in near]
    if near:
        return "Did you mean " + " or ".join(f"'{entry}'" for entry in near) + "?"
    told = ", ".join(known[:40]) + (", …" if len(known) > 40 else "")
    return f"Known {what}: {told}."
