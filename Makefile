# `make test` and `make demo` install what they need into .venv; neither needs a model hub.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := .demo
INSTALLED := $(VENV)/.installed
# How many processes run tests side by side, each with one thread.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

.PHONY: test quick lint format soak lowest release-check demo docs site cuda clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,offline,onnx]'
	touch $@

test: lint
	$(PYTEST) --cov

# The tests that take less than a few seconds each, without linters and coverage.
quick: $(INSTALLED)
	$(PYTEST) -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Kills, damage, crowds and dialects at length: about half an hour.
soak: $(INSTALLED)
	EMOCLASS_SOAK=1 $(PYTEST) tests/faults tests/data/test_dialects.py

# The tests with the oldest of each dependency that pyproject.toml admits, without the extra onnx, which needs a newer
# torch; torch is then a build for CUDA, of gigabytes.
lowest:
	test -x $(VENV)-lowest/bin/python || $(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet uv
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python \
		--resolution lowest-direct --editable '.[dev,offline]'
	$(VENV)-lowest/bin/python -m pytest --numprocesses $(WORKERS) --dist loadgroup -W ignore::DeprecationWarning

# Builds both packages of the last commit, installs each and tries it, and leaves them in dist/: CONTRIBUTING.md.
# RELEASE_OPTIONS=--rehearsal: CHANGELOG.md may have unreleased changes.
release-check: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'twine>=6.1'
	$(BIN)/python scripts/release_check.py $(RELEASE_OPTIONS)

# Checks on a CUDA GPU, in five minutes: docs/benchmarks.md. If python3 has no CUDA build of torch, .venv-cuda gets one
# (several GB).
cuda:
	@python="$(PYTHON)"; \
	if ! "$$python" -c 'import sys, torch; sys.exit(torch.version.cuda is None)' 2>/dev/null; then \
		python=$(VENV)-cuda/bin/python; \
		test -x $$python || "$(PYTHON)" -m venv $(VENV)-cuda || exit; \
		$$python -m pip install --quiet --constraint constraints.txt --editable '.[offline]' accelerate || \
			{ echo "a CUDA build of torch could not be installed; set PYTHON to a Python that has one" >&2; exit 1; }; \
	fi; \
	PYTHONPATH="src$${PYTHONPATH:+:$$PYTHONPATH}" "$$python" benchmarks/cuda_run.py $(CUDA_OPTIONS)

docs: $(INSTALLED)
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_picture.py
	$(BIN)/python docs/generate_plots.py

# Models and parts of the demo stay in $(DEMO), not in your data directory.
# The documentation as web pages, in site/.
site: $(INSTALLED)
	$(BIN)/zensical build --strict

demo: export EMOCLASS_HOME := $(CURDIR)/$(DEMO)
demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/emoclass inspect-data examples/emotions.csv --base-model minilm
	$(BIN)/emoclass split examples/emotions.csv --output-dir $(DEMO)/parts
	$(BIN)/emoclass train $(DEMO)/parts --base-model minilm --name demo --recipe fast
	$(BIN)/emoclass eval $(DEMO)/parts
	printf '%s\n' "The lift opened and there stood a horse." \
		"Nobody has called since I moved here." \
		"One more lap, then I sleep; this medal is mine." | $(BIN)/emoclass predict

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-cuda $(DEMO) dist build site .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
