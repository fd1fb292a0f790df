"""A service outside that does not answer, told to the client as such."""

from __future__ import annotations

from fink_broker.portal.route import RequestError

#: "Failed Dependency": the request is fine and so is the API, but it needs an answer from elsewhere
FAILED_DEPENDENCY = 424


class ServiceAway(RequestError):
    """A service outside cannot be asked, or its answer makes no sense.

    Parameters
    ----------
    service : str
        Its name, as users know it.
    why : str
        What happened, a part of a sentence.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service} could not be asked: {why}. Try again later.\n", FAILED_DEPENDENCY)
        self.service = service
        self.why = why


class NotAsked(ServiceAway):
    """A service that is switched off in the configuration."""

    def __init__(self, service: str) -> None:
        super().__init__(service, "services outside are switched off here")
        self.args = (f"{service} is not asked: services outside are switched off here (api.resolvers).\n",)
        self.text = self.message = self.args[0]
