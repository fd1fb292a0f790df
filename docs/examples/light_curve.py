"""The light curve of an object, and its upper limits. Usage: python light_curve.py [ADDRESS [OBJECT]]."""

import sys

from fink_broker.portal.client import Client

BANDS = {1: "g", 2: "r"}


def main(address: str = "http://127.0.0.1:32000", object_id: str = "") -> None:
    """Print the points of an object; of the one that was seen last if none is named."""
    with Client(address) as fink:
        if not object_id:
            latest = fink.latests("allclasses", n=1, columns=["i:objectId"])
            if latest.empty:
                print("The archive is empty.")
                return
            object_id = latest["i:objectId"][0]
        curve = fink.objects(
            object_id,
            columns=["i:jd", "i:fid", "i:magpsf", "i:sigmapsf", "i:diffmaglim", "d:tag"],
            with_upper_limits=True,
        )
    if curve.empty:
        print(f"{object_id} is not in the archive.")
        return
    print(
        f"{object_id}: {(curve['d:tag'] == 'valid').sum()} points, {(curve['d:tag'] == 'upperlim').sum()} upper limits"
    )
    for point in curve.sort_values("i:jd").itertuples(index=False):
        jd, band, magnitude, error, limit, tag = point
        shown = f"> {limit:6.2f}" if tag == "upperlim" else f"{magnitude:8.2f} ± {error:.2f}"
        print(f"{jd:.5f}  {BANDS.get(band, '?')}  {shown}")


if __name__ == "__main__":
    main(*sys.argv[1:])
