# Every target stands alone: `make test` on a fresh clone is enough.
CARGO ?= cargo
# Parts that a test run skipped are collected here and named at its end.
SKIPPED := $(or $(CARGO_TARGET_DIR),target)/skipped-parts

.PHONY: help run test prove interop bench lint packages

help:
	@echo 'make run      a bridge on loopback with a user, rules and keys, made on the spot'
	@echo 'make test     every test; installs the Debian packages it needs where it may'
	@echo 'make prove    ten million decisions against the model of the rules; NARROWS_PROVE=N for so many'
	@echo 'make interop  the real parts alone, with crane, nerdctl and Dex where Go is, Keycloak where Maven is'
	@echo 'make bench    decisions, loading, tokens a second, logins at a directory and an issuer, memory (release build, quiet machine)'
	@echo 'make lint     format, clippy, documentation'

run:
	$(CARGO) run -- quickstart

# A failing run names its skipped parts as well.
test: packages
	@mkdir -p "$(dir $(SKIPPED))" && rm -f "$(SKIPPED)"
	@NARROWS_SKIPPED="$(abspath $(SKIPPED))" $(CARGO) test; status=$$?; .ci/skipped "$(SKIPPED)"; exit $$status

# Prints its seed, and what repeats a failure.
prove:
	NARROWS_PROVE=$(or $(NARROWS_PROVE),10000000) $(CARGO) test --profile prove --test model every_decision -- --nocapture

interop: packages
	.ci/interop

bench: packages
	$(CARGO) bench --bench rules --bench tokens --bench directory --bench sign_in

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps

packages:
	@.ci/packages
