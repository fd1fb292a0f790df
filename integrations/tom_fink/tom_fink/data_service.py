"""Fink as a data service of TOM Toolkit: queries whose objects become targets, and updates of light curves.

Older toolkits have no data services, and a TOM may leave them out; this module can then still be imported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.utils.functional import classproperty
from tom_targets.base_models import BaseTarget
from tom_targets.models import Target

from . import __version__, alert_rows, conf, light_curves, photometry
from .api import FinkError, ask
from .forms import SearchFields
from .searches import question

logger = logging.getLogger(__name__)

if apps.is_installed("tom_dataservices"):
    from tom_dataservices.dataservices import DataService, MissingDataException, QueryServiceError
    from tom_dataservices.forms import BaseQueryForm

    class Failed(FinkError, QueryServiceError):
        """A `FinkError` that all pages and commands of data services catch: some catch one, some the other."""

    class FinkDataServiceForm(SearchFields, BaseQueryForm):
        """The form of a query."""

    class FinkDataService(DataService):
        """Objects and light curves of the alert broker Fink."""

        name = conf.NAME
        verbose_name = "Fink alert broker"
        app_version = __version__
        service_notes = "Alerts of the Zwicky Transient Facility with added classifications."
        query_results_table = "tom_fink/query_results.html"

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._notice = ""

        @classproperty
        def info_url(cls) -> str:
            """Return the address of the portal, to which the page of the query links."""
            return conf.portal_url()

        @classmethod
        def urls(cls, **kwargs: Any) -> dict[str, str]:
            """Return the addresses of API and portal, as the settings have them now."""
            return {"base_url": f"{conf.api_url()}{conf.API_PATH}/", "info_url": cls.info_url}

        @classmethod
        def get_form_class(cls) -> type[FinkDataServiceForm]:
            """Return the form of a query."""
            return FinkDataServiceForm

        def build_query_parameters(self, parameters: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
            """Return the form's fields as they are: they are checked where pages expect an error."""
            self.query_parameters = dict(parameters)
            return self.query_parameters

        def build_query_parameters_from_target(self, target: BaseTarget, **kwargs: Any) -> dict[str, Any]:
            """Return by what the API knows a target.

            Raises
            ------
            QueryServiceError
                If it has neither a ZTF name nor a position.
            """
            try:
                return light_curves.where(target)
            except FinkError as error:
                raise Failed(str(error)) from None

        def query_service(self, query_parameters: Mapping[str, Any], **kwargs: Any) -> list[dict[str, Any]]:
            """Return the alerts of a query as rows of the API.

            Raises
            ------
            QueryServiceError
                If the query is not understood, or the API does not answer.
            """
            try:
                asked = question(query_parameters)
                answer = ask(asked.route, asked.arguments)
            except FinkError as error:
                raise Failed(str(error)) from None
            self.query_results = alert_rows.usable(answer.rows)
            left_out = len(answer.rows) - len(self.query_results)
            self._notice = alert_rows.notice(len(answer.rows), left_out, answer.is_cut)
            return self.query_results

        def query_targets(self, query_parameters: Mapping[str, Any], **kwargs: Any) -> list[dict[str, Any]]:
            """Return the objects of a query, each once, with its latest alert.

            Returns
            -------
            list of dict
                ``name``, ``ra`` and ``dec`` (deg, ICRS), ``jd`` (d, UTC), ``magnitude`` (AB), ``class_name``, ``link``.

            Raises
            ------
            QueryServiceError
                As `query_service`.
            """
            latest: dict[str, dict[str, Any]] = {}
            for row in self.query_service(query_parameters, **kwargs):
                known = latest.get(row["i:objectId"])
                if known is None or row["i:jd"] > known["i:jd"]:
                    latest[row["i:objectId"]] = row
            return [_result(row) for row in latest.values()]

        def get_additional_context_data(self) -> dict[str, str]:
            """Tell the page of results about alerts that are not on it."""
            return {"query_feedback": self._notice} if self._notice else {}

        def query_photometry(self, query_parameters: Mapping[str, Any], **kwargs: Any) -> list[dict[str, Any]]:
            """Return the light curve of an object as rows of the API.

            Parameters
            ----------
            query_parameters : mapping
                What `build_query_parameters_from_target` returns.

            Raises
            ------
            QueryServiceError
                If the API does not answer.
            """
            try:
                return light_curves.rows(dict(query_parameters))
            except FinkError as error:
                raise Failed(str(error)) from None

        def query_reduced_data(self, target: BaseTarget, **kwargs: Any) -> dict[str, list[dict[str, Any]]]:
            """Return the light curve of a target.

            Raises
            ------
            QueryServiceError
                If the target cannot be found, or the API does not answer.
            """
            return {"photometry": self.query_photometry(self.build_query_parameters_from_target(target))}

        def to_reduced_datums(
            self, target: BaseTarget, data_results: Mapping[str, Any] | None = None, **kwargs: Any
        ) -> Any:
            """Store the light curve of a target; asked for where there is none, as older toolkits do not ask.

            Raises
            ------
            MissingDataException
                If there is none and it cannot be had.
            """
            if not data_results:
                try:
                    data_results = self.query_reduced_data(target)
                except QueryServiceError as error:
                    logger.warning("Target %s has no light curve yet: %s", target.name, error)
                    raise MissingDataException(str(error)) from None
            return super().to_reduced_datums(target, data_results, **kwargs)

        def create_reduced_datums_from_query(
            self, target: BaseTarget, data: Any = None, data_type: str | None = None, **kwargs: Any
        ) -> list[Any]:
            """Store rows of a light curve. Nothing is returned of what was stored: it may be thousands of points."""
            if data_type == "photometry" and data:
                photometry.store(target, photometry.points_of_rows(data))
            return []

        def create_target_from_query(self, target_result: Mapping[str, Any], **kwargs: Any) -> Target:
            """Return the target of an object, not yet stored."""
            position = {"ra": target_result["ra"], "dec": target_result["dec"]}
            return Target(name=target_result["name"], type=Target.SIDEREAL, **position)

        def create_target_extras_from_query(self, query_results: Mapping[str, Any], **kwargs: Any) -> dict[str, str]:
            """Return what else is stored with a target: the object's page in the portal."""
            return {"fink broker link": query_results["link"]}


def _result(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["i:objectId"],
        "ra": row["i:ra"],
        "dec": row["i:dec"],
        "jd": row["i:jd"],
        "magnitude": alert_rows.magnitude(row),
        "class_name": row.get("v:classification") or row.get("d:cdsxmatch") or "",
        "link": conf.object_link(row["i:objectId"]),
    }
