"""``fink science list``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.cli.configuration import load
from fink_broker.science.describe import absent_text, columns_table, modules_table, needs_text, type_name
from fink_broker.science.registry import MODULES, Pipeline, build_pipeline
from fink_broker.science.user import announced


def show_list(conf: str | None, *, columns: bool, markdown: bool) -> int:
    """Print the configured modules, or the columns they give."""
    config = load(conf, quiet=True).config
    pipeline = build_pipeline(config)
    console = Console()
    if markdown:
        console.print(
            columns_table(pipeline) if columns else modules_table(pipeline.modules),
            end="",
            markup=False,
            soft_wrap=True,
        )
        return 0
    console.print(_columns(pipeline) if columns else _modules(pipeline))
    running = {module.name for module in pipeline.modules}
    off = [name for name in [*MODULES, *announced()] if name not in running]
    if off and not columns:
        console.print(f"Not configured: {', '.join(off)} (science.modules, science.user_modules).")
    return 0


def _modules(pipeline: Pipeline) -> Table:
    table = Table("module", "version", "gives", "reads", "reference", title=f"{len(pipeline.modules)} science modules")
    for module in pipeline.modules:
        gives = ", ".join(column.name for column in module.outputs)
        table.add_row(*map(escape, (module.name, module.version, gives, needs_text(module), module.reference)))
    return table


def _columns(pipeline: Pipeline) -> Table:
    giver = {column.name: (module, column) for module in pipeline.modules for column in module.outputs}
    table = Table("column", "type", "unit", "module", "meaning", "nothing to say")
    for field in pipeline.science_type:
        module, column = giver[field.name]
        told = (column.unit, module.name, column.meaning, absent_text(column.absent))
        table.add_row(column.name, type_name(column.type), *map(escape, told))
    return table
