# The broker with its Python environment and Java parts inside; the same launcher as on any machine.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --no-install-recommends -y openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home fink
USER fink
WORKDIR /home/fink/fink-broker
COPY --chown=fink . .

# creates .venv and fetches the pinned Java archives, so that starting needs no network
RUN bin/fink init

ENV PATH="/home/fink/fink-broker/bin:${PATH}"
ENTRYPOINT ["fink"]
CMD ["--help"]
