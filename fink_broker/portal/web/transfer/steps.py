"""The steps of the page, one after the other beside a line: source, alerts, content, summary."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web.transfer.selection import (
    CONTENTS,
    FINK,
    LONGEST_CONDITIONS,
    MOST_CLASSES,
    SIMBAD,
    TNS,
    Selection,
)

#: Sources that the community's clients know; only those that are archived here can be chosen.
SOURCES = (
    ("ztf", ("ZTF", "Alerts of the Zwicky Transient Facility"), True),
    ("elasticc_v1", ("ELASTiCC (v1)", "Not in this archive"), False),
    ("elasticc_v2", ("ELASTiCC (v2.0)", "Not in this archive"), False),
    ("elasticc_v2p1", ("ELASTiCC (v2.1)", "Not in this archive"), False),
)
EXAMPLE = "candidate.magpsf > 19.5;\ncandidate.drb > 0.9;"
LATER = "transfer-step transfer-later"
OPEN = "transfer-step"


def step(
    number: int, title: str, text: str, content: Sequence[Component], identifier: str, *, later: bool
) -> Component:
    """Return a step; one that comes later is not seen yet."""
    return html.Li(
        [
            dmc.Title(title, order=2, size="h4", mb=2),
            dmc.Text(text, size="sm", c="dimmed", mb="sm"),
            dmc.Paper(html.Div(content), withBorder=True, p={"base": "sm", "sm": "md"}, shadow="xs"),
        ],
        id=identifier,
        className=LATER if later else OPEN,
        **{"data-number": f"{number}"},
    )


def source_step() -> Component:
    """Return the choice of the survey."""
    cards = [_card("source", name, words, possible=possible) for name, words, possible in SOURCES]
    group = dmc.RadioGroup(
        dmc.SimpleGrid(cards, cols={"base": 1, "xs": 2, "md": 4}, spacing={"base": "xs", "sm": "sm"}),
        id="transfer-source", value="ztf", name="transfer-source", label="Survey", labelProps={"className": "sr-only"},
    )  # fmt: skip
    return step(1, "Source", "Which survey the alerts are from.", [group], "transfer-step-source", later=False)


def filter_step(selection: Selection, nights: Sequence[str]) -> Component:
    """Return the choice of alerts: nights, classes, conditions.

    Parameters
    ----------
    selection : Selection
        What is chosen already.
    nights : sequence of str
        Nights that have alerts, ``YYYY-MM-DD``, in order.
    """
    return step(
        2,
        "Alerts",
        f"{len(nights):,} nights have alerts, from {nights[0]} to {nights[-1]}. Both nights you choose are included.",
        [_nights(selection, nights), _classes(selection), _conditions(selection)],
        "transfer-step-filter",
        later=False,
    )


def content_step(selection: Selection) -> Component:
    """Return the choice of what is sent of each alert."""
    cards = [
        _card("content", name, (content.label, content.text, f"about {_kilobytes(content.bytes)} an alert"))
        for name, content in CONTENTS.items()
    ]
    group = dmc.RadioGroup(
        dmc.SimpleGrid(cards, cols={"base": 1, "xs": 2, "md": 4}, spacing={"base": "xs", "sm": "sm"}),
        id="transfer-content",
        value=selection.content or None,
        name="transfer-content",
        label="Content",
        labelProps={"className": "sr-only"},
    )
    return step(3, "Content", "What is sent of each alert.", [group], "transfer-step-content", later=True)


def summary_step(button: Component) -> Component:
    """Return the place of the summary, and the button that submits."""
    return step(
        4,
        "Summary",
        "How much it is, from the counts of alerts by night and class.",
        [html.Div(id="transfer-summary", className="transfer-summary"), button],
        "transfer-step-summary",
        later=True,
    )


def _nights(selection: Selection, nights: Sequence[str]) -> Component:
    def entry(identifier: str, label: str, value: str) -> Component:
        return dmc.DateInput(
            id=identifier,
            label=label,
            value=value or None,
            valueFormat="YYYY-MM-DD",
            minDate=nights[0],
            maxDate=nights[-1],
            placeholder="YYYY-MM-DD",
            clearable=False,
            debounce=400,
            w={"base": "100%", "xs": 170},
        )

    shortcuts = (
        ("transfer-latest", "Latest night"),
        ("transfer-week", "Last 7 nights"),
        ("transfer-all", "All nights"),
    )
    return html.Div(
        [
            dmc.Group(
                [
                    entry("transfer-start", "First night", selection.start),
                    entry("transfer-stop", "Last night", selection.stop),
                    dmc.Group(
                        [
                            dmc.Button(text, id=identifier, variant="default", size="xs", n_clicks=0)
                            for identifier, text in shortcuts
                        ],
                        gap="xs",
                    ),
                ],
                align="flex-end",
                gap="md",
            ),
            html.Div(id="transfer-nights-error", role="alert", className="transfer-error"),
            dcc.Store(id="transfer-nights", data=[nights[0], nights[max(len(nights) - 7, 0)], nights[-1]]),
        ]
    )


def _classes(selection: Selection) -> Component:
    groups = (("Fink", FINK), ("Transient Name Server", TNS), ("SIMBAD", SIMBAD))
    return dmc.MultiSelect(
        id="transfer-classes",
        label="Classes",
        description="Alerts of any of these; none: all alerts.",
        data=[{"group": name, "items": [{"value": each, "label": each} for each in names]} for name, names in groups],
        value=list(selection.classes),
        searchable=True,
        clearable=True,
        hidePickedOptions=True,
        limit=60,
        maxValues=MOST_CLASSES,
        nothingFoundMessage="No class of that name",
        clearButtonProps={"aria-label": "No class: all alerts"},
        mt="md",
    )


def _conditions(selection: Selection) -> Component:
    return html.Div(
        [
            dmc.Textarea(
                id="transfer-where",
                label="Further conditions",
                description="Optional. One SQL condition a line, each ending with a semicolon; all of them must hold.",
                placeholder=EXAMPLE,
                value=selection.conditions,
                autosize=True,
                minRows=2,
                maxRows=10,
                debounce=500,
                spellCheck=False,
                className="transfer-code",
                attributes={"input": {"maxLength": LONGEST_CONDITIONS}},
                mt="md",
            ),
            html.Div(id="transfer-where-error", role="alert", className="transfer-error"),
        ]
    )


def _card(group: str, value: str, lines: Sequence[str], *, possible: bool = True) -> Component:
    """Return something to choose: a title, and lines that say what it is."""
    title, *further = lines
    words = [dmc.Text(title, fw=600, size="sm")]
    words += [dmc.Text(line, size="xs", mt=4, className="transfer-card-text") for line in further]
    indicator = dmc.RadioIndicator(disabled=not possible)
    return dmc.RadioCard(
        dmc.Group([indicator, html.Div(words)], wrap="nowrap", align="flex-start", gap="sm"),
        value=value,
        name=f"transfer-{group}",
        disabled=not possible,
        p="sm",
        radius="md",
        className="transfer-card",
    )


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.2g} kB"
