"""The page ``/``: the search field, and what a search finds; without a search, what the archive has last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.results import view
from fink_broker.portal.web.search import alive, bar, classes, suggestions
from fink_broker.portal.web.search.actions import Results, ask
from fink_broker.portal.web.search.addresses import AddressError, action_at, address_of, text_of
from fink_broker.portal.web.search.attributes import aria
from fink_broker.portal.web.search.coordinates import angle_words
from fink_broker.portal.web.search.examples import searches_of_latest
from fink_broker.portal.web.search.rules import Action, Known, with_seed
from fink_broker.portal.web.search.understanding import Understood, understand, with_known_class
from fink_broker.portal.web.site import Page, Site, Visit

#: radii in arcseconds that are offered where a smaller cone found nothing
_WIDER = (60.0, 600.0, 3600.0)
#: sorts of searches that are shown where one was not understood
_EXAMPLES = ("object", "place", "class", "random")


def _build(visit: Visit, site: Site) -> Component:
    arguments = visit.arguments
    try:
        action = action_at(arguments)
    except AddressError as error:
        return _page("", [_not_understood(str(error), site)])
    text = arguments.get("q", "").strip()
    if action is not None:
        action = with_known_class(action, site.api)
        if (drawn := with_seed(action)) is not action:
            return _forward_drawn(text_of(drawn), {**visit.arguments, "seed": str(drawn.parameters["seed"])})
        return _found(action, text_of(action), visit, site)
    if text:
        return _asked(text, visit, site)
    return _first_page()


def _register(app: Dash, site: Site) -> None:
    bar.register(app, site)
    alive.register(app, site)
    view.register(app, site)
    app.clientside_callback(
        ClientsideFunction("search", "forward"),
        Output("search-forward", "id"),
        Input("search-forward", "data"),
    )


def _first_page() -> Component:
    return html.Div(
        [
            html.Div(
                [
                    html.Img(src="/assets/fink.svg", alt="", width=64, height=64),
                    html.H1("Search the changing sky", className="home-title"),
                    html.P(
                        "Alerts of supernovae, variable stars, asteroids and whatever else changed, enriched and "
                        "classified by Fink within seconds.",
                        className="home-lead",
                    ),
                    bar.search_bar(),
                ],
                className="home-hero",
            ),
            alive.alive(),
        ]
    )


def _asked(text: str, visit: Visit, site: Site) -> Component:
    """Return what a text that somebody typed leads to."""
    try:
        understood = understand(text, site.api)
    except ApiError as error:
        return _page(text, [notices.failure(error)])
    if understood.choices:
        return _page(text, [_choices(understood)])
    action = understood.action
    if action is None:
        return _page(text, [_not_understood('A quote has no end: close it, as in class="SN candidate".', site)])
    if action.name == "unknown":
        return _page(text, [_not_understood(suggestions.note_of(understood, site.api), site)])
    note = suggestions.note_of(understood, site.api)
    return _forward(action, text, note, visit) or _found(action, text, visit, site, note)


def _forward(action: Action, text: str, note: str, visit: Visit) -> Component | None:
    """Return what leads from a text on to the address that it stands for; None if results can be shown here."""
    if not note and (address := address_of(action)).startswith("/ZTF"):
        link = dcc.Link(f"Go to {action.parameters['object']}", href=address)
        return _page(text, [dcc.Store(id="search-forward", data=address), link])
    if (drawn := with_seed(action)) is not action:
        text = f"{text} seed={drawn.parameters['seed']}"
        return _forward_drawn(text, {**visit.arguments, "q": text})
    return None


def _forward_drawn(text: str, arguments: Mapping[str, str]) -> Component:
    """Return what leads to a search at random that has its seed: every view, page and download has the same objects."""
    address = f"/?{urlencode(arguments, quote_via=quote, errors='replace')}"
    link = dcc.Link("Go to the objects that were drawn", href=address, className="home-forward")
    return _page(text, [dcc.Store(id="search-forward", data=address), link])


def _found(action: Action, text: str, visit: Visit, site: Site, note: str = "") -> Component:
    """Return what a search found, and where it found nothing, how it could be changed."""
    try:
        results = ask(action, site.api)
    except ApiError as error:
        return _page(text, [notices.failure(error)])
    parts: list[Component] = [notices.notice("Not all was understood", note, colour="yellow")] if note else []
    parts.append(view.results_view(results, visit, site))
    if results.rows.empty and (others := _other_searches(action, results, site)):
        parts.append(_try_instead(others))
    return _page(text, parts)


def _page(text: str, parts: Sequence[Component]) -> Component:
    return html.Div(
        [
            html.H1("Search", className="search-hidden"),
            bar.search_bar(text),
            html.Div(dmc.Stack(list(parts), gap="lg"), className="home-results"),
        ]
    )


def _not_understood(sentence: str, site: Site) -> Component:
    found = searches_of_latest(site.api)
    examples = [_example(found[sort]) for sort in _EXAMPLES if sort in found]
    hint = [html.P("Searches that work:", className="home-hint"), dmc.Group(examples, gap="xs")] if examples else []
    return notices.notice("Query not recognized", sentence, *hint, colour="red")


def _example(text: str) -> Component:
    return dcc.Link(text, href=suggestions.address_of_text(text), className="search-example home-example")


def _choices(understood: Understood) -> Component:
    items = [_choice(known, action) for known, action in understood.choices]
    return html.Section(
        [
            html.H2("Did you mean", className="home-heading"),
            html.P(f"Several objects have a name like “{understood.parsed.name[:60]}”.", className="home-words"),
            html.Ul(items, className="home-choices"),
        ],
        **aria(label="Did you mean"),
    )


def _choice(known: Known, action: Action) -> Component:
    words = [
        html.Span(known.label, className="home-name"),
        html.Span(suggestions.described(known), className="home-words"),
    ]
    return html.Li(dcc.Link(words, href=address_of(action), className="home-choice"))


def _other_searches(action: Action, results: Results, site: Site) -> list[tuple[str, Action]]:
    """Return searches that may find something where this one found nothing."""
    values = action.parameters
    if results.kind == "cone":
        wider = [radius for radius in _WIDER if radius > float(values["r"])][:2]
        found = [(f"within {angle_words(r)}", replace(action, parameters={**values, "r": r})) for r in wider]
        dates = {"after", "before", "window"} & set(values)
        if dates:
            timeless = {name: value for name, value in values.items() if name not in dates}
            found.append(("at any time", replace(action, parameters=timeless)))
        return found
    given = str(values.get("class", ""))
    close = classes.close_to(given, classes.classes(site.api)) if given else ()
    return [(name, replace(action, parameters={**values, "class": name})) for name in close if name != given]


def _try_instead(others: list[tuple[str, Action]]) -> Component:
    links = [dcc.Link(words, href=address_of(action), className="home-other") for words, action in others]
    return dmc.Group([html.Span("Try instead:", className="home-words"), *links], gap="xs")


PAGE = Page("/", "Fink Science Portal", _build, _register, "Search")
