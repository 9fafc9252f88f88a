# syntax=docker/dockerfile:1
# The orchestrator as an image. docs/deployment.md says how it is used.
#   docker build .                   the service alone: definitions are mounted, or copied by an image that begins with it
#   docker build --target demo .     with the examples, for docker-compose.yaml

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements/build.txt requirements/service.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
    && python -m venv /opt/amends \
    && /opt/amends/bin/pip install --no-cache-dir --require-hashes --requirement requirements/service.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/python -m hatchling build -t wheel -d /build/dist \
    && /opt/amends/bin/pip install --no-cache-dir --no-deps --no-index /build/dist/*.whl

FROM python:3.13-slim-bookworm AS service
COPY --from=build /opt/amends /opt/amends
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/amends --create-home amends
ENV PATH=/opt/amends/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    SERVER_PORT=8095
WORKDIR /app
USER 10001:10001
EXPOSE 8095
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SERVER_PORT'] + '/health', timeout=4)"]
ENTRYPOINT ["amends"]
CMD ["--help"]

FROM service AS demo
COPY examples examples

# What is built without --target.
FROM service
