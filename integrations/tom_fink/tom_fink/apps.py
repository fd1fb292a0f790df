"""The Django application."""

from django.apps import AppConfig


class TomFinkConfig(AppConfig):
    """What TOM Toolkit is told of this module."""

    name = "tom_fink"
    verbose_name = "Fink"

    def data_services(self) -> list[dict[str, str]]:
        """Return the data services this module adds to a TOM; toolkits without data services do not ask."""
        return [{"class": "tom_fink.data_service.FinkDataService"}]
