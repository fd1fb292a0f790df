"""The steps after a transfer was submitted: how far it is, and the commands that fetch it."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web.code import code_block
from fink_broker.portal.web.transfer.sender import Progress
from fink_broker.portal.web.transfer.steps import step

REFRESH_SECONDS = 4
_SAID = {
    "waiting": ("gray", "Waiting", "The cluster has taken the job, and has not begun yet."),
    "running": ("blue", "Sending", "Alerts are on their way; you may begin to fetch them."),
    "complete": ("green", "Complete", "All alerts are in the topic."),
    "failed": ("red", "Ended without success", "The log says why."),
    "forgotten": (
        "gray",
        "Over",
        "How it went is not known any more: see whether the topic holds all.",
    ),
    "unknown": ("gray", "Not known", "Who sends does not answer just now."),
}


def after(topic: str, progress: Progress) -> list[Component]:
    """Return the steps that follow a submission."""
    return [_monitor(topic, progress), _data(topic)]


def progress_box(progress: Progress) -> Component:
    """Return how far a transfer is."""
    colour, title, text = _SAID[progress.standing]
    lines: list[Component] = [
        dmc.Group([dmc.Badge(title, color=colour, variant="light", size="lg"), dmc.Text(text, size="sm")], gap="sm")
    ]
    if progress.standing == "running" and progress.total:
        percent = 100 * progress.sent / progress.total
        label = f"{progress.sent:,} of {progress.total:,} alerts sent"
        lines.append(dmc.Progress(value=percent, mt="sm", **{"aria-label": label}))
        lines.append(dmc.Text(label, size="xs", c="dimmed", mt=4))
    log = progress.log or "Nothing is written yet."
    lines.append(
        html.Pre(log, className="transfer-log", tabIndex=0, role="log", **{"aria-label": "Log of the transfer"})
    )
    return html.Div(lines)


def is_over(progress: Progress) -> bool:
    """Tell whether nothing more is to come."""
    return progress.standing in ("complete", "failed", "forgotten")


def commands(topic: str) -> tuple[str, str]:
    """Return the commands that fetch a topic: of fink-client from version 12, and of those before."""
    return (
        f"finkctl transfer -survey ztf -topic {topic} -outdir {topic} -partitionby finkclass --verbose",
        f"fink_datatransfer -topic {topic} -outdir {topic} -partitionby finkclass --verbose",
    )


def _monitor(topic: str, progress: Progress) -> Component:
    return step(
        5,
        "Monitor your job",
        f"The log is read every {REFRESH_SECONDS} seconds until the job ends. This page's address leads back here.",
        [
            html.Div(progress_box(progress), id="transfer-progress", className="transfer-progress"),
            dmc.Button("Update log", id="transfer-update", variant="default", size="sm", mt="sm", n_clicks=0),
            dcc.Interval(id="transfer-clock", interval=REFRESH_SECONDS * 1000, disabled=is_over(progress)),
        ],
        f"transfer-step-monitor-{topic}",
        later=False,
    )


def _data(topic: str) -> Component:
    newer, older = commands(topic)
    return step(
        6,
        "Get your data",
        "With fink-client, registered once; the files are Parquet, a folder for each class.",
        [
            dmc.Text("Your topic", size="sm", mb=4),
            code_block(topic, "bash", "the topic"),
            dmc.Text("fink-client 12 and later", size="sm", mt="sm", mb=4),
            code_block(newer, "bash", "the command of fink-client 12 and later"),
            dmc.Text("fink-client before 12", size="sm", mt="sm", mb=4),
            code_block(older, "bash", "the command of fink-client before 12"),
            dmc.Text(
                "-partitionby takes tnsclass and time as well. The topic is kept until the operators remove it.",
                size="xs", c="dimmed", mt="sm",
            ),
            dmc.Anchor("Begin another transfer", href="/download", size="sm", mt="sm", display="inline-block"),
        ],
        f"transfer-step-data-{topic}",
        later=False,
    )  # fmt: skip
