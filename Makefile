# Everything a newcomer needs; each target sets the workspace up first if that is due.
SHELL := bash
SET_UP := src/flow_manip/scripts/set_up.sh
# One thread per process: two busy cores run small array operations many times slower with more.
ENV := . ./env.sh && export OMP_NUM_THREADS=1 &&
# Tests of nodes live with leases and clocks of the wall, so they have the machine to themselves,
# and one more try where it stood still for a moment; the last line counts those.
PURE := python -m pytest -q -n 2
NODES := python -m pytest -q --reruns 1 -rfER

.PHONY: help setup setup-models demo test test-all bench lint clean
help:      ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:     ## install and build; quick when nothing changed
	@$(SET_UP)

setup-models:  ## the same with PyTorch, transformers and diffusers, for real models and the tests
	@$(SET_UP) models

demo: setup  ## one instruction end to end in simulation (INSTRUCTION="..." for another)
	@$(ENV) flow_manip demo $(if $(INSTRUCTION),--instruction "$(INSTRUCTION)")

lint: setup-models  ## ruff and mypy
	@$(ENV) ruff check . && ruff format --check . && mypy src/flow_manip_core/flow_manip_core

test: lint   ## the fast suite
	@$(ENV) $(PURE) -m 'not ros and not slow and not gpu and not hardware' && \
	$(NODES) -m 'ros and not slow and not gpu and not hardware'

test-all: lint  ## everything that needs no GPU and no hardware
	@$(ENV) $(PURE) -m 'not ros and not gpu and not hardware' && \
	$(NODES) -m 'ros and not gpu and not hardware'

bench: setup-models ## tests/benchmarks, JSON into build/benchmarks (ONLY=<name> for one)
	@$(ENV) python tests/benchmarks/run.py $(ONLY)

clean:     ## remove everything that set-up and runs made
	rm -rf .venv build install log runs
