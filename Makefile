# `make serve` runs the node; `make test` and `make lint` check it. Everything lives in .venv.

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint requirements/lock.txt
# One worker per core is fastest here; a machine with less memory may want fewer.
WORKERS ?= 2
export PYTHON

.PHONY: help install serve test lint lint-rules lint-format lint-types lint-licences lint-files format bench faults fuzz lock clean

help:
	@echo "make serve   install the node into .venv and run it (node.toml where it exists, else the defaults)"
	@echo "make install only install it"
	@echo "make test    install the rest (training, test tools) and run the tests"
	@echo "make lint    ruff, mypy, licences, and what else is installed for shell, compose and Dockerfile"
	@echo "make format  let ruff rewrite what it can"
	@echo "make bench   rates of receiving, forwarding and classifying next to others, memory, latency"
	@echo "make faults  kill the node 200 times, PostgreSQL 40 times, and let two PACS misbehave (about an hour)"
	@echo "make fuzz    10,000 broken objects and PDUs (about half an hour)"
	@echo "make lock    resolve the versions in requirements/lock.txt anew"
	@echo "make clean   remove .venv, caches and builds (never data/)"

# Only the newest of these runs: a stamp is older than pyproject.toml or the lock exactly when something changed.
$(VENV)/python.stamp: deploy/make_venv.sh
	@sh deploy/make_venv.sh $(VENV)
	@touch $@

$(VENV)/node.stamp: pyproject.toml requirements/lock.txt $(VENV)/python.stamp
	@echo "Installing the node (about 850 MB, once)."
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/node.stamp
	@echo "Installing training and test tools (with torch several GB, once)."
	@$(PIP) --editable ".[training,dev]"
	@touch $@

install: $(VENV)/node.stamp

serve: $(VENV)/node.stamp
	@exec $(VENV)/bin/dicom-node serve

# One BLAS thread per worker: the workers are the parallelism.
test: $(VENV)/dev.stamp
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

# Each check on its own, so that `make --keep-going lint` shows everything at once.
lint: lint-rules lint-format lint-types lint-licences lint-files

lint-rules: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check .

lint-format: $(VENV)/dev.stamp
	$(VENV)/bin/ruff format --check .

lint-types: $(VENV)/dev.stamp
	$(VENV)/bin/mypy

# LGPL libraries may be used as libraries (psycopg); GPL and AGPL may not come along. A licence nobody states passes.
lint-licences: $(VENV)/dev.stamp
	@$(VENV)/bin/pip-licenses --format=csv | awk -F'","' \
		'/Affero|AGPL|[^L]GPL|[^r] General Public/ { print "not to be shipped: " $$0; bad = 1 } END { exit bad }'
	@echo "lint: licences"

lint-files:
	@sh deploy/lint.sh

format: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/dev.stamp
	@$(VENV)/bin/python -m benchmarks.receive
	@$(VENV)/bin/python -m benchmarks.forward
	@$(VENV)/bin/python -m benchmarks.memory
	@$(VENV)/bin/python -m benchmarks.latency --rate 2 --count 50
	@$(VENV)/bin/python -m benchmarks.latency --senders 4 --count 50
	@$(VENV)/bin/python -m benchmarks.classify

faults: $(VENV)/dev.stamp
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.faults --kills 200

fuzz: $(VENV)/dev.stamp
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.faults.fuzz --inputs 10000

lock: $(VENV)/dev.stamp
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-annotate --custom-compile-command "make lock" --output-file requirements/lock.txt pyproject.toml

clean:
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
