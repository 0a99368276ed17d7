# `make help` lists what there is. Everything is an ordinary command: look below to run it by hand.

CARGO ?= cargo
SETUP := packaging/setup/install.sh
WINDOWS := x86_64-pc-windows-gnu
# Tests also read MIMAMORI_CORPUS from the environment: a folder of real files that nobody on the project wrote.

.DEFAULT_GOAL := help
.PHONY: help setup run test torture fuzz bench bench-agent bench-collector lint docs clean

help: ## Lists the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs missing Debian packages for `run` and `test`, and nothing else
	@$(SETUP) run test

run: ## Runs a collector and this machine's agent as an example; ONCE=1 ends after three verified reports
	@$(SETUP) run
	$(CARGO) build --locked --profile agent -p mimamori-agent
	$(CARGO) build --locked --release -p mimamori-collector
	@packaging/example/run.sh

test: ## Sets up and runs every test
	@$(SETUP) run test
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --locked

torture: ## The long tests: 2,000 kills each of agent and collector, 200 power cuts, every sync left out once, a hundred times the random cases
	@$(SETUP) run test
	$(CARGO) build --workspace --locked --profile torture
	MIMAMORI_KILLS=2000 MIMAMORI_CUTS=200 MIMAMORI_FILLS=50 $(CARGO) test --locked --profile torture -p mimamori-tests --test it -- --nocapture agent_faults agent_names agent_disk chaos
	MIMAMORI_EVERY_BYTE=1 $(CARGO) test --locked --profile torture -p mimamori-agent --lib outbox::tests::damage -- --nocapture
	PROPTEST_CASES=5000 MIMAMORI_SIM=200x30 MIMAMORI_ANSWERS=1000000 MIMAMORI_REPLAYS=1000000 MIMAMORI_SIGNATURES=10000000 \
	  MIMAMORI_ROTATIONS=500 MIMAMORI_CLONE_RUNS=1000 MIMAMORI_YEARS_EVERY_DAYS=1 MIMAMORI_ENROL_ROUNDS=1000 MIMAMORI_LOST_RUNS=1000 \
	  $(CARGO) test --workspace --locked --profile torture

fuzz: ## Feeds every parser of outside input with what a fuzzer thinks of, SECONDS=60 each; needs a nightly compiler
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	tests/fuzz/run.sh $(or $(SECONDS),60) $(NAMES)

bench: ## Measures the agent with every probe switched on, beside Prometheus' node-exporter
	@$(SETUP) run bench
	$(CARGO) build --locked --profile agent -p mimamori-agent -p mimamori-agent-hardware
	$(CARGO) build --locked --release -p mimamori-collector
	/usr/bin/python3 tests/bench/exporter.py target/agent/mimamori-agent target/agent/mimamori-agent-hardware target/release/mimamori-collector

bench-agent: ## Measures what the agent costs a machine, beside collectd
	@$(SETUP) run bench
	$(CARGO) build --locked --profile agent -p mimamori-agent
	$(CARGO) build --locked --release -p mimamori-collector
	/usr/bin/python3 tests/bench/agent.py target/agent/mimamori-agent target/release/mimamori-collector

bench-collector: ## Measures healthy agents beside 2,000 slow connections, and what a refused request costs the collector
	@$(SETUP) run
	$(CARGO) build --locked --release -p mimamori-collector
	@ulimit -n 8192 2>/dev/null; $(CARGO) run --locked --release -p mimamori-tests --bin mimamori-bench-collector

lint: ## Clippy without a warning; shellcheck, and the parsers for Windows, where these are installed; the exposure of the units
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/$(WINDOWS)/lib" ]; then $(CARGO) check --locked --target $(WINDOWS) -p mimamori-parse; \
	else echo "the target $(WINDOWS) is not installed: whether the parsers compile for it is left out"; fi
	@if command -v shellcheck >/dev/null; then shellcheck packaging/*/*.sh tests/fuzz/run.sh .ci/run; else echo "shellcheck is not installed: left out"; fi
	@if command -v systemd-analyze >/dev/null; then \
	  for unit in systemd/*.service; do systemd-analyze security --offline=true --threshold=15 $$unit | tail -n 1 && \
	    systemd-analyze security --offline=true --threshold=15 $$unit >/dev/null || exit 1; done; \
	else echo "systemd-analyze is not installed: left out"; fi

docs: ## Writes the generated references anew
	BLESS=1 $(CARGO) test --locked -p mimamori-tests documents

clean: ## Removes what was built; the example's state stays in .mimamori
	$(CARGO) clean
