"""The science portal as gunicorn knows it: ``gunicorn index:server -b :24000 --workers=4``.

Run directly, it serves for development at IP and PORT of ``config.yml``.
"""

from fink_broker.portal.web.index import main, server

__all__ = ["server"]

if __name__ == "__main__":
    main()
