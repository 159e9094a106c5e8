# `make demo` and `make test` do all set-up themselves, also on a fresh machine.

SWIFT ?= swift
# Arguments of the demo, such as ARGS="--port 9090 --on-abandoned refuse".
ARGS ?=
SWIFT_FILES = Sources Tests Snippets Package.swift

.PHONY: demo test lint docs requirements

demo: requirements
	$(SWIFT) run idemptx demo $(ARGS)

test: requirements lint
	Scripts/check-lean-graph
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	$(SWIFT) test --skip-build --parallel
	Scripts/build-docs

lint:
	$(SWIFT) format lint --strict --recursive --parallel $(SWIFT_FILES)
	Scripts/check-snippets

docs:
	Scripts/build-docs

requirements:
	@Scripts/install-requirements
