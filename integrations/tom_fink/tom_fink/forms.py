"""The form of a search, for both kinds of queries that TOM Toolkit knows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.utils.html import format_html

from . import conf
from .searches import FIELDS, NotOneSearch, WrongSearch, question


def _field(label: str, placeholder: str, help_text: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"placeholder": placeholder})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


class SearchFields(forms.Form):
    """Six fields, of which exactly one is filled. Their names are in the saved queries of TOMs."""

    objectId = _field("Object", "ZTF21abfmbix", "All alerts of an object, or of several separated by commas.")
    conesearch = _field(
        "Cone",
        "RA, Dec, radius",
        "Objects within a radius (arcseconds, at most 18,000) of a position: 193.822, 2.897, 5"
        " or 12h55m17.2s, +2d53m50s, 5 or 12:55:17.2, 2:53:50, 5.",
    )
    datesearch = _field(
        "Time", "date, minutes", "Objects seen from a date on (UTC), for up to 180 minutes: 2021-11-03 10:00:00, 5."
    )
    classsearch = _field("Class, latest alerts", "class, number of alerts", "")
    classsearchdate = _field("Class, last days", "class, days", "")
    ssosearch = _field(
        "Solar System object",
        "8467",
        "Alerts of an asteroid or comet, by number, name or designation: 8467, Benoitcarry, 10P, 2010JO69, C/2020V2.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            classes = f"{conf.without_login(conf.api_url())}{conf.API_PATH}/classes"
        except ImproperlyConfigured:
            classes = ""
        link = format_html('<a href="{}" target="_blank" rel="noopener">class</a>', classes) if classes else "class"
        self.fields["classsearch"].help_text = format_html("The latest alerts of a {}: SN candidate, 10.", link)
        self.fields["classsearchdate"].help_text = format_html(
            "Alerts of a {} in the last days, at most 1,000: Early SN Ia candidate, 2.", link
        )

    def clean(self) -> dict[str, Any]:
        """Check that exactly one field is filled, with a search."""
        # forms of the toolkit return nothing where they have nothing to add
        cleaned = super().clean() or self.cleaned_data
        try:
            question(cleaned)
        except NotOneSearch as error:
            filled = [name for name in FIELDS if cleaned.get(name)]
            for name in filled:
                self.add_error(name, str(error))
            if not filled:
                self.add_error(None, str(error))
        except WrongSearch as error:
            self.add_error(next(name for name in FIELDS if cleaned.get(name)), str(error))
        return cleaned
