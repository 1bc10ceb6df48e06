.DEFAULT_GOAL := help
UV = .venv/bin/uv
RUN = $(UV) run --frozen
PROTOS = $(shell find proto -name '*.proto' -not -path 'proto/google/*')

proto: $(UV) ## Generate the Python code of proto/
	$(RUN) python -m grpc_tools.protoc -I proto --python_out=proto --grpc_python_out=proto --mypy_out=quiet:proto --mypy_grpc_out=quiet:proto $(filter proto/goldenthread/%,$(PROTOS))
	$(RUN) python -m grpc_tools.protoc -I proto --python_out=proto --mypy_out=quiet:proto proto/buf/validate/validate.proto
