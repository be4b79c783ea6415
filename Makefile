# Every recipe installs what it needs and a fresh machine lacks (scripts/setup says what), and CI calls
# the same ones. Arguments go in ARGS: `make test ARGS=door`, `make demo ARGS="--for 10s --json"`.

ARGS ?=

.DEFAULT_GOAL := help
.PHONY: demo test fuzz schemathesis soak bench ci fmt lint prepare docs book help

demo: ## run the whole loop on embedded parts: no account, nothing to start first
	@scripts/setup build postgres && cargo build --locked && cargo run --quiet --locked -- demo $(ARGS)

test: ## run all tests against a real Postgres and a real Kafka of their own
	@scripts/test $(ARGS)

fuzz: ## feed the parsers random bytes, a minute each; ARGS=600 for ten
	@scripts/fuzz $(ARGS)

schemathesis: ## try whether usher's API keeps its OpenAPI document; ARGS="emulator DIR" the emulator by Konnect's documents
	@scripts/schemathesis $(ARGS)

soak: ## 50 kills under load, 1,000 random walks, hostile senders, fuzzing for hours; KILLS, WALKS, ROUNDS, FUZZ shorten it
	@scripts/soak

bench: ## measure a release build against COPY of the same rows; ARGS=--quick to see that it runs
	@scripts/bench $(ARGS)

ci: ## run what CI runs: lint, fresh offline data, fuzzing, all tests
	@bash .ci/run

fmt: ## format the code
	@cargo fmt --all

lint: ## check form, lints, documentation, dependencies, alerts for Prometheus and the book's links
	@scripts/lint

prepare: ## check every query against the migrations and rewrite .sqlx
	@scripts/prepare $(ARGS)

docs: ## build the documentation of the code, private items too
	@cargo doc --workspace --no-deps --document-private-items --locked

book: ## build the book in docs/ and check its links
	@scripts/book

help: ## show this list
	@sed -n 's/^\([a-z]*\): ## \(.*\)/make \1\t\2/p' Makefile | expand -t 20
