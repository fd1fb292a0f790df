"""Draws what SkyPortal holds of one alert after the client has posted it: for ``docs/figures/skyportal-candidate.png``.

    python -m benchmarks.skyportal_picture --source <folder of packets>

The alert goes the whole way: encoded as the distribution does, decoded and posted by the client, and read back from the
strict SkyPortal of the tests.
"""

from __future__ import annotations

import base64
import io
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import typer

from benchmarks.filter_table import quiet_config, science_alerts
from benchmarks.science_alerts import read_packets
from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.stream.messages import public

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests"), str(ROOT / "integrations/skyportal")]

from fink_skyportal.alerts.messages import decode  # noqa: E402
from fink_skyportal.api import SkyPortal  # noqa: E402
from fink_skyportal.candidate import Candidate, candidate_of  # noqa: E402
from fink_skyportal.pace import Pace  # noqa: E402
from fink_skyportal.poster import Options, Poster  # noqa: E402
from fink_skyportal.premises import Wanted, prepare  # noqa: E402
from skyportal_server import SkyPortalServer  # noqa: E402

TOPIC = "fink_sn_candidates_ztf"
COLOURS = {"ztfg": "tab:green", "ztfr": "tab:red", "ztfi": "tab:orange"}
IMAGES = {"new": "science", "ref": "template", "sub": "difference"}


def chosen(source: str, object_id: str) -> dict[str, Any]:
    """Return an alert as its readers get it: of an object, or the supernova candidate that was seen most often."""
    alerts = public(science_alerts(read_packets(source, ""), quiet_config()))
    key = wire_schema_text(alerts.schema).encode()
    decoded = [decode(value, key) for value in encode(alerts)]
    if object_id:
        return next(alert for alert in decoded if alert["objectId"] == object_id)
    likely = [alert for alert in decoded if alert["snn_sn_vs_all"] > 0.5 and alert["rf_snia_vs_nonia"] > 0.3] or decoded
    return max(likely, key=lambda alert: sum(past["magpsf"] is not None for past in alert["prv_candidates"] or []))


def posted(candidate: Candidate) -> SkyPortalServer:
    """Post a candidate, and return the SkyPortal that has it."""
    server, stop = SkyPortalServer(), threading.Event()
    with server, SkyPortal(server.url, server.token, Pace(None), stop, print) as api:
        premises = prepare(api, Wanted.microservice([TOPIC]))
        poster = Poster(api, premises, Options("new", 8, "fink_bot"), stop)
        (outcome,) = poster.post([candidate])
        if outcome.refusal:
            raise RuntimeError(f"refused: {outcome.refusal}")
    return server


def draw(server: SkyPortalServer, images: dict[str, str], file: Path) -> None:
    """Draw images, and the light curve, annotation and class of the one candidate there is."""
    state = server.state
    (candidate,) = state.candidates.values()
    (annotation,) = state.annotations.values()
    classes = ", ".join(row["classification"] for row in state.classifications.values()) or "none"
    figure = plt.figure(figsize=(11, 6), layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1, 1.5), height_ratios=(1, 1.5))
    for place, (kind, name) in enumerate(IMAGES.items()):
        axes = figure.add_subplot(grid[0, place])
        axes.imshow(plt.imread(io.BytesIO(base64.b64decode(images[kind]))), cmap="gray")
        axes.set_title(f"thumbnail {kind}\n({name})", fontsize=9)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[1, :3])
    for band, colour in COLOURS.items():
        rows = [row for row in state.photometry.values() if row["filter"] == band]
        seen = [row for row in rows if row["flux"] is not None]
        axes.errorbar(
            *([row[name] for row in seen] for name in ("mjd", "flux", "fluxerr")),
            fmt="o",
            ms=4,
            color=colour,
            label=band,
        )
        limits = [row for row in rows if row["flux"] is None]
        axes.plot(
            [row["mjd"] for row in limits], [5 * row["fluxerr"] for row in limits], "v", ms=4, mfc="none", color=colour
        )
    axes.set(xlabel="MJD", ylabel="flux (µJy, AB, zp 23.9); ▽ 5 σ limits")
    axes.legend()
    told = {"candidate": candidate["obj_id"], "passed_at": candidate["passed_at"], "class": classes}
    told |= {"annotation": annotation["origin"], **annotation["data"]}
    text = "\n".join(
        f"{name}: {value:.10g}" if isinstance(value, float) else f"{name}: {value}" for name, value in told.items()
    )
    axes = figure.add_subplot(grid[:, 3])
    axes.text(0, 1, text, va="top", family="monospace", fontsize=8)
    axes.set_axis_off()
    figure.savefig(file, dpi=110)


def main(
    source: Annotated[str, typer.Option(help="folder or file of packets, or synthetic")] = "synthetic",
    object_id: Annotated[str, typer.Option(help="whose alert; empty: the supernova candidate seen most often")] = "",
    out: Annotated[Path, typer.Option(help="the picture")] = ROOT / "docs/figures/skyportal-candidate.png",
) -> None:
    """Post one alert and draw what SkyPortal has then."""
    candidate = candidate_of(chosen(source, object_id), TOPIC, "microservice")
    draw(posted(candidate), candidate.thumbnails(), out)


if __name__ == "__main__":
    typer.run(main)
