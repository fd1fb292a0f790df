"""The files a user's function is made of: its own, and those of its folder that it imports. Nothing is run here."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Larger files are not looked into for imports.
LARGEST_SOURCE = 200_000
MOST_SOURCES = 50


def sources_of_file(source: Path, folder: str) -> tuple[Path, ...]:
    """Return a file, and the modules beside it that it imports, that those import, and so on.

    Installed packages are not among them, nor what is imported under a name that is made while the code runs.

    Parameters
    ----------
    source : pathlib.Path
        The file of a function.
    folder : str
        Where its neighbours are looked for; empty: nowhere.
    """
    found = {source: None}
    waiting = [source] if folder else []
    while waiting and len(found) < MOST_SOURCES:
        file = waiting.pop()
        for name in _imported(file, Path(folder)):
            for neighbour in _files(Path(folder), name):
                if neighbour not in found:
                    found[neighbour] = None
                    waiting.append(neighbour)
    return tuple(list(found)[:MOST_SOURCES])


def digest_of(files: Sequence[Path]) -> str:
    """Return a digest of the content of some files, in any order of them."""
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _imported(file: Path, folder: Path) -> Iterator[str]:
    """Give the names of modules that a file may import, as seen from the folder."""
    try:
        if file.stat().st_size > LARGEST_SOURCE:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # importing it will tell
        return
    inside = file.parent.is_relative_to(folder)
    package = ".".join(file.parent.relative_to(folder).parts) if inside else ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([part for part in [*above, node.module or ""] if part])
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)


def _files(folder: Path, name: str) -> Iterator[Path]:
    """Give the files in a folder that the import of a module runs: its own, and those of the packages it is in."""
    parts = name.split(".")
    for number in range(1, len(parts) + 1):
        stem = folder.joinpath(*parts[:number])
        for file in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if file.is_file():
                yield file
