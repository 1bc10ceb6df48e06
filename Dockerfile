# The service in a container: built with uv from the lock file, run by a user without rights.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir 'uv>=0.5'
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# Dependencies first, so that a change of the code does not install them again.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY proto proto
COPY graph graph
COPY resolver resolver
COPY server server
COPY client client
COPY cli cli
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home goldenthread \
  && install -d -m 0700 -o goldenthread -g goldenthread /data /keys
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 GOLDENTHREAD_DATA=/data GOLDENTHREAD_LOG_FORMAT=json
USER goldenthread
WORKDIR /home/goldenthread
VOLUME ["/data", "/keys"]
EXPOSE 7461
# With TLS settings, doctor needs GOLDENTHREAD_SERVER, GOLDENTHREAD_TLS_CA and a token; /keys/token is taken if it is there.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --start-interval=5s \
  CMD if [ -r /keys/token ]; then GOLDENTHREAD_TOKEN="$(cat /keys/token)"; export GOLDENTHREAD_TOKEN; fi; goldenthread doctor >/dev/null
ENTRYPOINT ["goldenthread"]
CMD ["serve"]
