# Every target that builds calls scripts/setup first: it does nothing, quickly, when all is there.

KERNELS ?= 5.10 6.1 6.12 7.3
LAB     := .build/debug/lab

.DEFAULT_GOAL := help
.PHONY: lab build test vm-test sabotage bench-dns bench-addresses bench-dispatch differences documentation format format-check clean help

## lab: set up, build, fetch one long-term kernel (or KERNEL=…), run every fixture, print the result
lab: build
	@$(LAB) run $(addprefix --kernel ,$(KERNEL))

# A debug build: the command waits for machines, and the guest is built with optimisation anyway.
## build: set up and build the command
build:
	@scripts/setup
	@swift build --product lab >&2

## test: unit tests, and kernel tests as far as this machine can (LAB_REQUIRE=1 makes skipping a failure)
test:
	@scripts/setup
	swift test

## vm-test: every fixture on a kernel matrix (KERNELS="5.10 6.1 6.12 7.3", or KERNELS=all)
vm-test: build
	@$(LAB) run $(if $(filter all,$(KERNELS)),--all-kernels,$(addprefix --kernel ,$(KERNELS)))

## sabotage: every fixture in each changed world in which it must not conform (or KERNEL=…)
sabotage: build
	@$(LAB) run --sabotage $(addprefix --kernel ,$(KERNEL))

## bench-dns: answers per CPU-second of `lab dns serve` and of four packaged name servers, side by side
bench-dns:
	@scripts/setup --dns-tools
	@swift build -c release --product lab >&2
	@scripts/bench-dns

## bench-addresses: nanoseconds that drawing an address takes, for some kinds of pools
bench-addresses:
	@scripts/setup
	@swift build -c release --product AddressTiming >&2
	@.build/release/AddressTiming

## bench-dispatch: nanoseconds per lookup and per packet of the dispatcher, and of others beside it (root)
bench-dispatch:
	@scripts/setup
	@swift build -c release --product DispatchTiming >&2
	@scripts/bench-dispatch

## differences: print docs/differences.md anew from the catalogue
differences: build
	@$(LAB) list --format differences > docs/differences.md

## documentation: make the library's in .build/documentation, and fail if something public has none
documentation:
	@scripts/setup --documentation
	@scripts/document

## format: lay out all Swift sources
format:
	swift format --in-place --recursive Package.swift Examples Sources Tests

## format-check: fail if a source is laid out otherwise
format-check:
	swift format lint --strict --recursive Package.swift Examples Sources Tests

## clean: remove what was built; `lab cache clear` removes kernels and saved machines
clean:
	rm -rf .build

## help: show this
help:
	@sed -n 's/^## //p' Makefile
