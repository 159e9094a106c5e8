# `make demo` and `make test` do all set-up themselves, also on a fresh machine.

SWIFT ?= swift
# Arguments of the demo, such as ARGS="--port 9090 --on-abandoned refuse", or of the benchmark, such as ARGS=--json.
ARGS ?=
SWIFT_FILES = Sources Tests Snippets Package.swift $(addprefix Benchmarks/,Package.swift Server Micro Support)

.PHONY: demo test peers soak mutants torture fuzz tsan lint docs release bench bench-scale

# Builds neither the proxy nor, unless its store is asked for, the client of Redis.
DEMO_TRAITS = CommandLine$(if $(findstring redis,$(ARGS)),$(comma)Redis)
comma = ,

demo:
	@Scripts/install-requirements build
	$(SWIFT) run --disable-default-traits --traits $(DEMO_TRAITS) idemptx demo $(ARGS)

# The proof that an adapter for another framework is one file fetches that framework.
test: export IDEMPTX_ADAPTER_PROOF = 1
test:
	@Scripts/install-requirements test
	@Scripts/install-test-servers
	@$(MAKE) lint
	Scripts/check-lean-graph
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	. .build-servers/env && Scripts/run-tests
	Scripts/run-peers
	python3 -B -m unittest discover -q -s Tests/Torture
	Scripts/torture --minutes 1 --seed 1 --binary .build/debug/idemptx
	Scripts/build-docs

# What others have written, against the binary of the last debug build.
peers:
	Scripts/run-peers $(ARGS)

# The simulation of the engine, for SEEDS seeds (a million by default) from FROM on.
soak:
	@Scripts/install-requirements build
	@SEEDS="$(SEEDS)" FROM="$(FROM)" Scripts/soak

# Mistakes in the source of the engine, each of which the simulation has to find.
mutants:
	@Scripts/install-requirements build
	@SEEDS="$(SEEDS)" Scripts/check-engine-mutants

# What reads untrusted input, with libFuzzer and the address sanitizer: SECONDS_EACH for each target, or for TARGETS.
fuzz:
	@Scripts/install-requirements build
	@SECONDS_EACH="$(SECONDS_EACH)" TARGETS="$(TARGETS)" MERGE="$(MERGE)" Scripts/fuzz

# Tests of what is concurrent, with the thread sanitizer.
tsan:
	@Scripts/install-requirements test
	@Scripts/install-test-servers
	@. .build-servers/env && TARGETS="$(TARGETS)" Scripts/tsan

lint:
	$(SWIFT) format lint --strict --recursive --parallel $(SWIFT_FILES)
	Scripts/check-snippets
	Scripts/count-public-surface
	Scripts/check-engine-mutants --apply-only

docs:
	Scripts/build-docs

release:
	@Scripts/install-requirements release
	Scripts/build-release

# Faults on real processes, such as `make torture MINUTES=20 STORE=redis,sqlite SEED=7`. First of all the checker is checked.
MINUTES ?= 5
torture:
	@Scripts/install-requirements test
	python3 -B -m unittest discover -q -s Tests/Torture
	Scripts/torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE)) $(ARGS)

bench:
	@Scripts/bench $(ARGS)

bench-scale:
	@Scripts/bench --scale $(ARGS)
