"""Pieces of code that visitors copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import httpx
from dash.development.base_component import Component


def code_block(code: str, language: str, label: str) -> Component:
    """Return code with a button that copies it.

    Parameters
    ----------
    code : str
        What is copied.
    language : str
        ``python``, ``bash``, …
    label : str
        What it is, for those who cannot see it.
    """
    return dmc.CodeHighlight(
        code=code, language=language, copyLabel=f"Copy: {label}", copiedLabel="Copied", withCopyButton=True
    )


def curl(api_url: str, route: str, arguments: Mapping[str, Any], file: str = "") -> str:
    """Return the command that asks the API the same."""
    address = httpx.URL(f"{api_url}/api/v1/{route}", params={name: f"{value}" for name, value in arguments.items()})
    return f'curl "{address}"' + (f" -o {file}" if file else "")


def python(api_url: str, route: str, arguments: Mapping[str, Any]) -> str:
    """Return a Python program that asks the API the same."""
    given = "".join(f"        {name!r}: {value!r},\n" for name, value in arguments.items())
    return (
        "import io\n\nimport pandas as pd\nimport requests\n\n"
        f"answer = requests.post(\n    {f'{api_url}/api/v1/{route}'!r},\n    json={{\n{given}"
        "        'output-format': 'json',\n    },\n)\nanswer.raise_for_status()\n"
        "table = pd.read_json(io.BytesIO(answer.content))\n"
    )
