# All commands for development. Needs Python 3.11 or newer, make and the package index; .venv is created automatically.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/installed-cpu
DEV := $(VENV)/installed-dev-cpu
SERVE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo docs compose test check lint protos protos-check settings settings-check engines bench accept fuzz test-long format lock clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## index sample photos (or PHOTOS=DIR), run one query of each kind, keep serving (SERVE=0: end)
	$(BIN)/miradouro demo --folder build/demo \
	    $(if $(PHOTOS),--photos "$(PHOTOS)") $(if $(filter 0,$(SERVE)),--no-serve)

# The containers run as the owner of the secrets; if that is root, as the images' user.
compose:  ## run everything in containers (needs Docker): the services, Kafka, OpenSearch, MinIO; GPU=1 uses a GPU
	deploy/secrets.sh build/secrets
	@[ "$$(id -u)" != 0 ] || chown -R 10001:10001 build/secrets
	$(if $(GPU),PRECISION=fp32) MIRADOURO_USER="$$(stat -c %u:%g build/secrets)" \
	    docker compose -f deploy/compose.yaml --profile $(if $(GPU),gpu,cpu) up --build --detach --wait

test: lint  ## everything in check, and all tests except the long ones
	@tests/ui/install-chromium.sh
	@tests/install-exiftool.sh
	$(BIN)/pytest -m 'not long' -n 2

check: lint  ## format, lint, types, imports, protos, generated code and the quick tests; needs no JDK and no browser
	$(BIN)/pytest -m 'not (engines or browser or long)' -n 2 tests/unit

test-long: $(DEV)  ## run the full-size tests
	$(BIN)/pytest -m long

docs: $(DEV)  ## build the pages of docs/ into build/site; fails on a broken link
	$(BIN)/mkdocs build --strict --quiet

lint: protos-check settings-check docs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: $(DEV)  ## format the code and apply ruff's fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# $(1): the folder that receives miradouro/v1
generate = $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) --mypy_grpc_out=$(1) \
    --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc protos/miradouro/v1/*.proto

# $(1): the description of the HTTP API; $(2): the folder of the two pages
describe = $(BIN)/python -m grpc_tools.protoc -Iprotos --include_imports --include_source_info \
    --descriptor_set_out=build/protos.binpb protos/miradouro/v1/*.proto && \
    $(BIN)/python -m tools.openapi build/protos.binpb > $(1) && \
    $(BIN)/python -m tools.http_page $(1) docs/http-api.md $(2)/http-api.md && \
    $(BIN)/python -m tools.grpc_page build/protos.binpb docs/grpc-api.md $(2)/grpc-api.md

protos: $(DEV)  ## regenerate the wire types in services/miradouro/v1, the description of the HTTP API and both API pages
	$(call generate,services)
	mkdir -p build
	$(call describe,services/miradouro/query/openapi.json,docs)

protos-check: $(DEV)
	rm -rf build/protos && mkdir -p build/protos
	$(call generate,build/protos)
	@diff -r -x __init__.py -x __pycache__ build/protos/miradouro/v1 services/miradouro/v1 \
	    || { echo 'services/miradouro/v1 does not match protos/: run make protos and commit the result' >&2; exit 1; }
	$(call describe,build/openapi.json,build/protos)
	@for made in openapi.json:services/miradouro/query/openapi.json protos/http-api.md:docs/http-api.md protos/grpc-api.md:docs/grpc-api.md; do \
	    diff "build/$${made%%:*}" "$${made#*:}" >/dev/null \
	        || { echo "$${made#*:} does not match protos/: run make protos and commit the result" >&2; exit 1; }; \
	done

# $(1): the folder of the pages on settings and metrics; $(2): the folder of the list of names
list_settings = $(BIN)/python -m tools.settings_page docs/settings.md $(1)/settings.md $(2)/setting_names.py && \
    $(BIN)/python -m tools.metrics_page docs/metrics.md $(1)/metrics.md

settings: $(DEV)  ## regenerate the tables of docs/settings.md and docs/metrics.md and the list of known settings
	$(call list_settings,docs,services/miradouro/runtime)

settings-check: $(DEV)
	@mkdir -p build/settings
	$(call list_settings,build/settings,build/settings)
	@for made in docs/settings.md docs/metrics.md services/miradouro/runtime/setting_names.py; do \
	    diff "build/settings/$$(basename "$$made")" "$$made" >/dev/null \
	        || { echo "$$made does not match the classes: run make settings and commit the result" >&2; exit 1; }; \
	done

engines: $(DEV)  ## run a real Kafka and OpenSearch on this machine until Ctrl-C; prints the settings to use them
	$(BIN)/miradouro dev engines

bench: $(DEV)  ## measure against goals and peers (ONLY=NAME: some benches); prints a table and writes build/bench.json
	@$(BIN)/python -m pip install --quiet --group bench || echo 'some engines to compare with could not be installed: measuring without them' >&2
	$(BIN)/python -m benchmarks.run $(if $(ONLY),--only "$(ONLY)") --out build/bench.json

fuzz: $(DEV)  ## search for inputs that break a reader: MINUTES=1 for each (ONLY=NAME: one); fails if it finds one
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),1) $(if $(ONLY),--only "$(ONLY)")

accept: $(DEV)  ## measure answers on PHOTOS=DIR of labelled photos, through the command line and gRPC; fails on a missed goal
	@test -n "$(PHOTOS)" || { echo 'make accept needs photos: make accept PHOTOS=DIR' >&2; exit 2; }
	@tests/install-exiftool.sh
	$(BIN)/python -m evaluation --photos "$(PHOTOS)" --work build/accept

# The locks contain every package with its hashes, for every platform and Python 3.11 or newer.
LOCK = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade

lock:  ## resolve pyproject.toml again into requirements/*.lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(LOCK) pyproject.toml --extra cpu --extra kafka --extra opensearch --group build -o requirements/cpu.lock
	$(LOCK) pyproject.toml --extra s3 --extra gs -c requirements/cpu.lock -o requirements/stores.lock
	$(LOCK) pyproject.toml --extra gpu --extra kafka --extra opensearch --group build -c requirements/cpu.lock -o requirements/gpu.lock
	$(LOCK) --group sbom -c requirements/cpu.lock -o requirements/sbom.lock
	$(LOCK) pyproject.toml --extra cpu --extra all --group build --group dev -c requirements/cpu.lock \
	    -o requirements/dev-cpu.lock

clean:  ## remove build outputs and the virtual environment
	rm -rf build $(VENV)

# The package is installed as editable; its build needs only setuptools, from the lock, and no network.
$(VENV)/installed-%: requirements/%.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $<
	$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null \
	    || { echo '$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 …' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed and $(PYTHON) is $$($(PYTHON) --version): name another: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo '$(PYTHON) cannot make virtual environments: install python3-venv (on Debian: apt-get install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
