"""What is near a position, as an astropy table. Usage: python neighbours.py [ADDRESS [RA DEC [RADIUS]]]."""

import sys

from fink_broker.portal.client import Client


def main(address: str = "http://127.0.0.1:32000", ra: str = "", dec: str = "", radius: str = "60") -> None:
    """Print objects around a position (degrees or sexagesimal); around the latest alert if none is given."""
    with Client(address) as fink:
        if not ra:
            latest = fink.latests("allclasses", n=1, columns=["i:ra", "i:dec"])
            if latest.empty:
                print("The archive is empty.")
                return
            ra, dec = str(latest["i:ra"][0]), str(latest["i:dec"][0])
        table = fink.table("conesearch", ra=ra, dec=dec, radius=radius)
    if not len(table):
        print("Nothing is there.")
        return
    table["separation"] = table["v_separation_degree"] * 3600
    table["separation"].info.format = ".2f"
    print(table["i_objectId", "separation", "v_classification"])


if __name__ == "__main__":
    main(*sys.argv[1:])
