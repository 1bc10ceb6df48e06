# Every recipe is one line over `uv run`. The first one that needs it makes .tools (with uv) and .venv; nothing else is installed.
.DEFAULT_GOAL := help
PYTHON ?= python3
ARGS ?=

export UV_PYTHON_DOWNLOADS := never
# Tests start Python some hundred times: without compiled modules each start takes seconds.
unexport PYTHONDONTWRITEBYTECODE

UV := .tools/bin/uv
RUN := $(UV) run --no-sync
READY := .venv/.ready
SOURCES := graph resolver server client cli bench
GENERATED := --exclude='*.proto' --exclude=__init__.py --exclude=__pycache__

# Writes the Python code of the protos into a folder, given relative to proto/.
define GENERATE
cd proto && PATH="$(CURDIR)/.venv/bin:$$PATH" python -m grpc_tools.protoc -I . --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) goldenthread/v1/*.proto && PATH="$(CURDIR)/.venv/bin:$$PATH" python -m grpc_tools.protoc -I . --python_out=$(1) --mypy_out=quiet:$(1) buf/validate/validate.proto
endef

.PHONY: help install demo serve neo4j test laws bench check format proto check-proto clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## Make .venv with everything; the others do it by themselves

demo: $(READY) ## Load 5,000 simulated customers, show what was found, keep serving (ARGS=--exit ends instead)
	$(RUN) goldenthread demo $(ARGS)

serve: $(READY) ## Serve on 127.0.0.1:7461 with the embedded store (ARGS=… are flags of `goldenthread serve`)
	$(RUN) goldenthread serve $(ARGS)

neo4j: $(READY) ## Assemble a Neo4j from Maven and serve it on loopback until interrupted; needs Java 17 and Maven
	$(RUN) python -m goldenthread.graph.stores.neo4j.local --home .neo4j $(ARGS)

test: $(READY) ## Run every test (ARGS=… go to pytest)
	$(RUN) pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

laws: $(READY) ## Run the long forms of the laws
	$(RUN) pytest -m slow --timeout 3600 $(ARGS)

bench: $(READY) ## Measure speed and memory, as figures and ratios
	$(RUN) python -m bench $(ARGS)

check: $(READY) check-proto ## Check format, lint, types, import direction, proto rules and generated code
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy $(SOURCES)
	$(RUN) lint-imports
	$(RUN) buf lint

format: $(READY) ## Format the code and apply safe fixes
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

proto: $(READY) ## Generate the Python code of proto/
	$(call GENERATE,.)

check-proto: $(READY)
	@rm -rf .build/proto && mkdir -p .build/proto
	@$(call GENERATE,../.build/proto)
	@diff -r $(GENERATED) .build/proto/goldenthread proto/goldenthread && diff -r $(GENERATED) .build/proto/buf proto/buf || { echo "The generated code is not that of the protos: run make proto."; exit 1; }

clean: ## Remove what the other commands made, but no data
	rm -rf .venv .tools .build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): $(UV) pyproject.toml uv.lock
	$(UV) sync --frozen --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Golden Thread needs Python 3.11 or newer; $(PYTHON) is not. Try make PYTHON=python3.12."; exit 1; }
	@$(PYTHON) -m venv .tools || { echo "$(PYTHON) lacks venv; on Debian, apt-get install python3-venv."; exit 1; }
	.tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.5'
