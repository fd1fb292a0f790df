"""What the science modules say of themselves, for the command line and the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from fink_broker.science.module import Column, Module
from fink_broker.science.outcome import OUTCOMES
from fink_broker.science.pipeline import Pipeline

#: Longest list of fields that is spelled out in a table.
_MANY_FIELDS = 8
_OUTCOME_MEANINGS = {
    "science_failed": "modules that raised on this alert or build on one that did (null there), or could ask nobody",
    "science_skipped": "modules whose own rule left the alert out",
    "science_found_nothing": "modules that looked at the alert and found nothing",
    "science_made_with": "version of each module, and the first digits of the sha256 of its model and catalogue files",
}


def type_name(kind: pa.DataType) -> str:
    """Return the name of a type as readers of the science table see it."""
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        inner = ", ".join(names) if len(names) <= _MANY_FIELDS else f"{len(names)} × {type_name(kind.field(0).type)}"
        return f"struct of {inner}"
    if pa.types.is_map(kind):
        return f"map of {type_name(kind.key_type)} to {type_name(kind.item_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return {"int32": "int", "int64": "long", "bool": "boolean"}.get(str(kind), str(kind))


def absent_text(value: Any) -> str:
    """Return the value a column has where there is nothing to say, as text."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        different = set(value.values())
        return f"{absent_text(different.pop())} for each key" if len(different) == 1 else str(dict(value))
    return "empty text" if value == "" else str(value)


def needs_text(module: Module) -> str:
    """Return what a module reads, as text."""
    needs = module.needs
    parts = [
        ("", needs.root),
        ("candidate: ", needs.candidate),
        ("light curve: ", needs.history),
        ("columns: ", needs.outputs),
        ("images: ", needs.cutouts),
    ]
    return "; ".join(prefix + ", ".join(names) for prefix, names in parts if names)


def columns_table(pipeline: Pipeline) -> str:
    """Return the table of science columns, as Markdown, in the order in which alerts have them."""
    giver = {column.name: (module, column) for module in pipeline.modules for column in module.outputs}
    lines = ["| column | type | unit | module | meaning | nothing to say |", "|---|---|---|---|---|---|"]
    for field in pipeline.science_type:
        module, column = giver[field.name]
        lines.append(_line(column, module.name))
    for name, kind in OUTCOMES.items():
        lines.append(f"| `{name}` | {type_name(kind)} | | – | {_OUTCOME_MEANINGS[name]} | – |")
    return "\n".join(lines) + "\n"


def modules_table(modules: Iterable[Module]) -> str:
    """Return the table of science modules, as Markdown."""
    lines = ["| module | version | reads | reference |", "|---|---|---|---|"]
    lines += [f"| `{m.name}` | {m.version} | {_cell(needs_text(m))} | {_cell(m.reference)} |" for m in modules]
    return "\n".join(lines) + "\n"


def _line(column: Column, module: str) -> str:
    return (
        f"| `{column.name}` | {type_name(column.type)} | {_cell(column.unit)} | {module} "
        f"| {_cell(column.meaning)} | {absent_text(column.absent)} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def render(pipeline: Pipeline) -> str:
    """Return the page ``docs/columns.md``."""
    head = (
        "# Columns\n\nMade from the registry of science modules: `python -m fink_broker.science.describe > "
        "docs/columns.md`.\nWhere numbers cannot be computed a column is null.\n\n"
    )
    return f"{head}{columns_table(pipeline)}\n## Modules\n\n{modules_table(pipeline.modules)}"


if __name__ == "__main__":
    from fink_broker.config import Config
    from fink_broker.science.registry import build_pipeline

    print(render(build_pipeline(Config())), end="")
