.DEFAULT_GOAL := help
.PHONY: help run test kafka postgres browser python lint fmt-check clippy deny doc proto-lint check native

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: native ## Build and start the virtual power plant
	cargo run --release --locked -- run

test: native kafka postgres browser python ## Run every test, some of them against a real Kafka broker, PostgreSQL, browser and Python
	cargo test --workspace --locked

kafka: ## Fetch the Kafka broker that the tests start (once; installs Java and Maven where it may)
	tools/kafka/fetch.sh

# The server that the ledger's tests start. Debian keeps it out of the path; psql comes with it.
postgres:
	@tools/need.sh psql=postgresql

# The browser that opens the reports in a test.
browser:
	@tools/need.sh chromium=chromium

# What the example of docs/results.md runs with.
python:
	@tools/python/fetch.sh

lint: fmt-check clippy deny doc ## Check format, lints, dependencies and documentation

fmt-check:
	cargo fmt --all --check

clippy: native
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	else echo "cargo-deny is not installed: licences, sources and advisories are not checked"; fi

doc: native
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

proto-lint: ## Check the .proto files with buf (fetched by npx)
	@if command -v npx >/dev/null; then npx --yes @bufbuild/buf@1.75.0 lint proto; \
	else echo "npm is not installed: the .proto files are not checked"; fi

check: lint test ## All of lint and test

# What the build itself needs.
native:
	@command -v cargo >/dev/null || { echo "Missing: cargo. Install Rust with rustup, then try again." >&2; exit 1; }
	@tools/need.sh cc=gcc,libc6-dev make=make
