# Ottla. `make help` lists what there is; the work is in cargo, tests/run.py, benches/run.py and examples/run.sh.

SHELL   := /bin/bash
PREFIX  ?= /usr/local
DESTDIR ?=
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
PYTHON  ?= python3

.PHONY: help build lib demo test test-quick test-one test-long soak bench simulate lint install golden

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build target/release/libottla.so and libottla.a
	cargo rustc --quiet -p ottla --lib --release --crate-type cdylib,staticlib
	@ln -sf libottla.so $(TARGET)/release/libottla.so.0

lib: ## build target/debug/libottla.so, not optimised: what a bare pytest or ctest needs
	cargo rustc --quiet -p ottla --lib --crate-type cdylib
	@ln -sf libottla.so $(TARGET)/debug/libottla.so.0

demo: ## run the C, C++ and Python examples; BOOTSTRAP=host:port for a Kafka of your own
	@BOOTSTRAP="$(BOOTSTRAP)" OTTLA_TARGET=$(TARGET) examples/run.sh

test: ## everything, with real Kafka 4.4.0, 4.3.1 and 3.9.1; PHASES="c cpp" for some
	@$(PYTHON) tests/run.py $(PHASES)

test-quick: ## the inner loop: under two minutes, no Java
	@$(PYTHON) tests/run.py --quick $(PHASES)

test-one: ## the tests with a name, of some phases: PHASES=c TEST=flow; an unoptimised library
	@$(PYTHON) tests/run.py --quick $(or $(PHASES),rust) --test "$(TEST)"

test-long: ## everything, in the versions that take long
	@$(PYTHON) tests/run.py --long $(PHASES)

soak: ## random faults on three real brokers; MINUTES=10 SEED=1
	@$(PYTHON) tests/faults/soak.py $(or $(MINUTES),10) $(SEED)

bench: build ## side by side with other clients on a real Kafka; ROUNDS=3 CASES=produce,consume or all
	$(PYTHON) benches/run.py $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(CASES),--cases $(CASES))

# A profile of its own: optimised, with every check on, compiled in a fraction of a release's time.
SIMULATE := cargo run --quiet --profile simulation --features simulation --bin simulate --

simulate: ## the seeded simulation; SEEDS=2000 START=0, or SEED=7 for one (TRACE=1 prints its events), BUGS=1 plants bugs, REFUSALS=1 refuses every request
	@$(SIMULATE) $(if $(SEED),--seed $(SEED) $(if $(TRACE),--trace),$(if $(REFUSALS),--refusals,$(if $(BUGS),--bugs,--seeds $(or $(SEEDS),2000)) --start $(or $(START),0))) $(if $(BUG),--bug $(BUG))

lint: ## rustfmt, clippy, ruff, mypy
	@$(PYTHON) tests/run.py lint

golden: ## write tests/golden again, with Kafka's own Java classes
	$(PYTHON) tests/golden/generate.py

install: build ## install library, headers, pkg-config and CMake files; PREFIX=/usr/local DESTDIR=
	packaging/install.sh "$(TARGET)/release" "$(VERSION)" "$(PREFIX)" "$(DESTDIR)"
