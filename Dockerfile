# streamer without anything that it does not need: packages by the hashes in tests/locks, the wheel
# of this tree, no compiler, no shell script, no root.
#
# The base is pinned by the digest of its multi-platform index; the tag beside it says what that is.
# slim and not alpine: aiokafka has no wheels for musl.

FROM python:3.13.16-slim-trixie@sha256:70729b46c69b4f1e97c4822c1af3df53a1476cf5ddc6c087c0c10bc3a5678c2f AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all:
WORKDIR /source
COPY tests/locks/ tests/locks/
RUN python -m venv /build \
    && /build/bin/pip install --require-hashes -r tests/locks/build.txt \
    && python -m venv --without-pip /opt/streamer \
    && /build/bin/pip --python /opt/streamer install --require-hashes -r tests/locks/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas/ schemas/
COPY streamer/ streamer/
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/streamer install --no-deps --no-index /wheels/*.whl


FROM python:3.13.16-slim-trixie@sha256:70729b46c69b4f1e97c4822c1af3df53a1476cf5ddc6c087c0c10bc3a5678c2f

LABEL org.opencontainers.image.title="streamer" \
      org.opencontainers.image.description="The audit events of a Flatfile account on Kafka" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/streamer /opt/streamer
# Nothing is written: the root file system may be read-only.
ENV PATH=/opt/streamer/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    STREAMER_WEB__HOST=0.0.0.0 \
    STREAMER_WEB__PORT=8080
EXPOSE 8080
USER 10001:10001
# Alive, not ready: nobody should restart a worker because Flatfile or Kafka is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['STREAMER_WEB__PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["streamer"]
CMD ["run"]
