"""Print what is in force, what it means, and where each value came from."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from fink_broker.config.loader import LoadedConfig, field_of


def show(loaded: LoadedConfig, console: Console) -> None:
    """Print a configuration: a table on a terminal, plain ``key = value  # origin`` lines elsewhere."""
    values = _values(loaded)
    if not console.is_terminal:
        for key, value in values.items():
            console.print(f"{key} = {value!r}  # {loaded.origin.get(key, 'default')}", markup=False, soft_wrap=True)
        return
    table = Table(title=f"Configuration from {loaded.path}", show_lines=False, expand=True)
    table.add_column("key", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("what it is", overflow="fold", style="dim")
    table.add_column("from", overflow="fold", style="cyan")
    for key, value in values.items():
        table.add_row(key, str(value), field_of(key).description or "", loaded.origin.get(key, "default"))
    console.print(table)


def _values(loaded: LoadedConfig) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for section, content in loaded.config.model_dump(mode="json").items():
        if isinstance(content, dict):
            values |= {f"{section}.{name}": value for name, value in content.items()}
        else:
            values[section] = content
    return values
