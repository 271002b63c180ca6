# People, continuous integration (.ci/run) and releases all use these targets, so they all check the same.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo demo-live demo-breast check test bench gpu gpu-check deb appliance hil soak fuzz lint fmt evaluate train train-smoke docs clean

export SCANSIDE_ONNXRUNTIME ?= $(CURDIR)/.cache/onnxruntime/libonnxruntime.so
export SCANSIDE_PYTHON ?= $(CURDIR)/.cache/python/bin/python
SETUP := hil-tests/scripts/setup.sh
CHECK := hil-tests/scripts/check.sh

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what building and testing need (asks for root only when something is missing)
	@$(SETUP)

build: setup ## build everything, for development
	cargo build --workspace

demo: setup ## a phantom CT study is sent, analysed, and its results arrive; STUDY=folder uses your own DICOM files
	@echo "building (the first time takes minutes)"
	@cargo build --quiet --bin demo --bin scansided
	@target/debug/demo --out out/demo $(if $(STUDY),--study '$(STUDY)')

demo-live: setup ## a simulated ultrasound exam; the live page, found and planted lesions and the latency are in out/demo-live
	@echo "building (the first time takes minutes)"
	@cargo build --quiet --bin demo_live --bin scansided --bin scansidectl --bin phantom
	@target/debug/demo_live --out out/demo-live $(LIVE)

demo-breast: setup ## one phantom woman from mammograms and worklist to ultrasound exam, report, recall and teaching file, in out/demo-breast
	@echo "building (the first time takes minutes)"
	@cargo build --quiet --bin demo_breast --bin scansided --bin scansidectl --bin phantom
	@target/debug/demo_breast --out out/demo-breast

check: ## all checks: format, rules, architecture, dependencies, lints, tests, docs; PART=report checks only that crate
	@$(SETUP) check
	@$(CHECK) $(PART)

test: setup ## check the format and run all tests
	@$(CHECK) test

bench: ## measure a release build and compare it with Orthanc and DCMTK; figures also in out/bench.json
	@$(SETUP) bench
	cargo build --release --bin bench --bin scansided --bin scansidectl
	@target/release/bench --out out/bench.json

gpu: setup ## measure on this machine's NVIDIA card, in about 5 minutes (docs/testing.md says what it needs)
	@hil-tests/scripts/gpu.sh $(OPTIONS)

gpu-check: setup ## what can be known of the networks on GPUs without one: operators, NVIDIA's parser and builder (downloads 228 MB)
	@hil-tests/scripts/gpu_check.sh

deb: ## build the Debian package in out/deb, from a release build (ARCH=arm64 cross-compiles)
	@$(SETUP) deb
	@hil-tests/scripts/deb.sh

appliance: ## test the package in a Debian guest with a real systemd (TEST=install, sandbox, faults or cuts; ROUNDS=n; PROGRAMS=target/debug packs those)
	@$(SETUP) hil
	@cargo build --quiet -p phantom
	@hil-tests/scripts/deb.sh
	@for test in $(or $(TEST),install sandbox cuts); do \
	  $(SCANSIDE_PYTHON) -B hil-tests/scripts/appliance/appliance.py $$test --rounds $(or $(ROUNDS),100) \
	    --deb out/deb/scanside$(if $(PROGRAMS),-bench).deb; done

hil: ## test video capture on the kernel's virtual video devices, in a QEMU guest
	@$(SETUP) hil
	GUEST=$(CURDIR)/.cache/guest hil-tests/scripts/vivid.sh

soak: setup ## run the power-loss test with 200 kills (ROUNDS=n)
	cargo build --bin scansided
	SCANSIDE_SOAK_ROUNDS=$(or $(ROUNDS),200) cargo test --workspace --test it power_loss -- --nocapture

fuzz: ## search for inputs that break what reads bytes of others (MINUTES=n for each target, TARGET="pdu header"; OPTIONS=list names them)
	@$(SETUP) fuzz
	@hil-tests/scripts/fuzz.sh $(or $(OPTIONS),$(or $(MINUTES),1) $(TARGET))

lint: ## all checks without the tests
	@$(SETUP) check
	@$(CHECK) lint

fmt: ## format the code
	cargo fmt --all

evaluate: setup ## measure sensitivity and false positives of the model packages on held-out phantoms
	@cargo build --release --bin evaluate --bin evaluate_live --bin scansidectl
	@target/release/evaluate --slices 1.25,2.5,5,8 --out out/evaluation.json
	@target/release/evaluate_live --out out/evaluation-live.json

train: ## train the networks on phantoms (downloads PyTorch; minutes with a GPU, hours without)
	models/training/train.sh
	models/training/ultrasound/train.sh
	models/training/mammography/train.sh

train-smoke: ## all steps from phantoms to a package in minutes, as a test of the training code
	models/training/train.sh --smoke

docs: ## make the API documentation in target/doc
	cargo doc --workspace --no-deps

clean: ## remove build outputs and caches
	rm -rf target .cache out
