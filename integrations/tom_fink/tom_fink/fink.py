"""Fink as a broker of TOM Toolkit (``TOM_ALERT_CLASSES``): saved queries whose alerts become targets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crispy_forms.layout import HTML, Fieldset, Layout
from django.utils.html import format_html
from tom_alerts.alerts import GenericAlert, GenericBroker, GenericQueryForm
from tom_targets.base_models import BaseTarget
from tom_targets.models import Target

from . import __version__, alert_rows, conf, light_curves, photometry
from .api import FinkError, ask
from .forms import SearchFields
from .searches import COLUMNS, FIELDS, question

logger = logging.getLogger(__name__)


class FinkQueryForm(SearchFields, GenericQueryForm):
    """The form of a query."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        portal = format_html(
            '<p>Alerts of the <a href="{}" target="_blank" rel="noopener">Fink broker</a> (tom_fink {}). '
            "Fill one of the searches.</p>",
            conf.portal_url(),
            __version__,
        )
        # what is given to HTML is a template: braces in an address stay an address
        text = portal.replace("{", "&#123;")
        self.helper.layout = Layout(HTML(text), self.common_layout, Fieldset("", *FIELDS))


class FinkBroker(GenericBroker):
    """The alert broker Fink.

    What goes wrong is raised as `FinkError`, an ``HTTPError``: pages and commands of TOM Toolkit show its sentence.
    """

    name = conf.NAME
    form = FinkQueryForm
    score_description = "Probability of an early type Ia supernova (rf_snia_vs_nonia), 0 to 1."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notice = ""

    def fetch_alerts(self, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the alerts of a query as rows of the API.

        Parameters
        ----------
        parameters : mapping
            Fields of the form; absent ones count as empty.

        Raises
        ------
        NotOneSearch
            If not exactly one search is filled; it is a ``NotImplementedError``, too.
        WrongSearch
            If what it holds is no search; it is a ``ValueError``, too.
        FinkError
            If the API does not answer with alerts.
        """
        asked = question(parameters)
        answer = ask(asked.route, asked.arguments)
        rows = alert_rows.usable(answer.rows)
        self._notice = alert_rows.notice(len(answer.rows), len(answer.rows) - len(rows), answer.is_cut)
        if self._notice:
            logger.warning("Fink: %s", self._notice)
        return iter(rows)

    def get_broker_context_data(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        """Tell the page of results about alerts that are not on it."""
        return {"broker_feedback": self._notice} if self._notice else {}

    def fetch_alert(self, alert_id: str) -> list[dict[str, Any]]:
        """Return all alerts of an object as rows of the API, the latest first.

        Parameters
        ----------
        alert_id : str
            Name of the object.

        Raises
        ------
        FinkError
            If the API does not answer.
        """
        return ask("objects", {"objectId": str(alert_id).strip(), "columns": COLUMNS}).rows

    def fetch_and_save_all(self, parameters: Mapping[str, Any]) -> list[Target]:
        """Return a target for each object that a query finds, made where there was none.

        Raises
        ------
        FinkError
            As `fetch_alerts`.
        """
        found: dict[str, GenericAlert] = {}
        for row in self.fetch_alerts(parameters):
            alert = self.to_generic_alert(row)
            found.setdefault(alert.name, alert)
        return [self.to_target(alert) for alert in found.values()]

    def process_reduced_data(self, target: BaseTarget, alert: Mapping[str, Any] | None = None) -> None:
        """Store the whole light curve of a target's object, asked of the API once: detections and upper limits.

        Parameters
        ----------
        target : Target
            The target.
        alert : mapping, optional
            The row of the API it was made of.

        Raises
        ------
        FinkError
            If the API does not answer. Not where a target is made of an alert, as the page does not expect it:
            the target is then there without a light curve, and the log says why.
        """
        try:
            place = {"objectId": alert["i:objectId"]} if alert else light_curves.where(target)
            photometry.store(target, photometry.points_of_rows(light_curves.rows(place)))
        except FinkError as error:
            if not alert:
                raise
            logger.warning("Target %s has no light curve yet: %s Update its data later.", target.name, error)

    def to_target(self, alert: GenericAlert | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Target:
        """Return the target of an object, made where there is none of this name.

        Parameters
        ----------
        alert : GenericAlert, mapping or sequence of mapping
            An alert, a row of the API, or what `fetch_alert` returns.

        Raises
        ------
        ValueError
            If there is no alert.
        """
        if not isinstance(alert, GenericAlert):
            row = alert if isinstance(alert, Mapping) else next(iter(alert), None)
            if row is None:
                raise ValueError("There is no alert to make a target of: Fink does not know the object.")
            alert = self.to_generic_alert(row)
        position = {"type": Target.SIDEREAL, "ra": alert.ra, "dec": alert.dec}
        target, _ = Target.objects.get_or_create(name=alert.name, defaults=position)
        return target

    def to_generic_alert(self, alert: Mapping[str, Any]) -> GenericAlert:
        """Return an alert as the page of results shows it.

        Parameters
        ----------
        alert : mapping
            A row of the API.

        Returns
        -------
        GenericAlert
            ``timestamp`` is the Julian date (d, UTC), ``mag`` the magnitude on the difference image (AB).
        """
        row = dict(alert)
        return GenericAlert(
            timestamp=row["i:jd"],
            id=row["i:candid"],
            name=row["i:objectId"],
            ra=row["i:ra"],
            dec=row["i:dec"],
            mag=alert_rows.magnitude(row),
            score=alert_rows.score(row),
            url=conf.object_link(row["i:objectId"]),
        )
