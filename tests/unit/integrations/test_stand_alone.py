"""The integrations stand alone: they know the broker by Kafka and REST only, and the broker knows nothing of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "tom_fink": ROOT / "integrations/tom_fink/tom_fink",
    "fink_skyportal": ROOT / "integrations/skyportal/fink_skyportal",
}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("name", PACKAGES)
def test_an_integration_imports_nothing_of_the_broker(name):
    files = list(PACKAGES[name].rglob("*.py"))
    assert len(files) > 5
    found = {(file.name, module) for file in files for module in imported(file)}
    others = {"fink_broker", "tests", "benchmarks", "pyspark"} | set(PACKAGES) - {name}
    assert not {pair for pair in found if pair[1] in others}


def test_the_broker_imports_nothing_of_the_integrations():
    files = list((ROOT / "fink_broker").rglob("*.py"))
    assert len(files) > 100
    assert not {file.name for file in files if {"tom_fink", "fink_skyportal"} & set(imported(file))}


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_both_read_alerts_with_the_same_code(package):
    shared = package / "alerts"
    assert shared.is_symlink() and shared.resolve() == ROOT / "integrations/alerts"
    assert (shared / "reader.py").is_file()
