# Two commands set everything up on a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install -q --python $(BIN)/python $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"}

.PHONY: demo test lint benchmark clean

demo: $(VENV)/.core
	$(BIN)/groundshift demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.lint $(VENV)/.test
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/pyright

benchmark: $(VENV)/.benchmark
	$(BIN)/python -m benchmarks

$(BIN)/uv:
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q uv

$(VENV)/.core: $(BIN)/uv pyproject.toml
	@$(INSTALL) -e . && touch $@

$(VENV)/.%: $(BIN)/uv pyproject.toml
	@$(INSTALL) -e ".[$*]" && touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
