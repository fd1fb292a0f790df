"""How many of the latest alerts belong to each class. Usage: python classes.py [ADDRESS]."""

import sys

from fink_broker.portal.client import Client


def main(address: str = "http://127.0.0.1:32000") -> None:
    """Print the latest alerts of each of Fink's classes, and the exact identifier of the last."""
    with Client(address) as fink:
        for name in fink.classes()["Fink classifiers"]:
            alerts = fink.latests(name, n=50, columns=["i:objectId", "i:candid", "i:jd"])
            last = "" if alerts.empty else f"  last: {alerts['i:objectId'][0]} (candid {alerts['i:candid'][0]})"
            print(f"{len(alerts):4d} {name}{last}")


if __name__ == "__main__":
    main(*sys.argv[1:])
