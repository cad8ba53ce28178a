# SPDX-License-Identifier: MIT
#
# The everyday commands. CMake does the work: `cmake --preset dev` and ninja are as good.

BUILD := build/release
# How many compilers and tests run at once.
JOBS ?= $(shell nproc)

.PHONY: help deps build test test-all demo bench clean

help:
	@echo 'make demo      build, run the guest that programs its own performance counters, and profile it'
	@echo 'make test      build, and run the tests'
	@echo 'make build     the command build/release/vpmu, the benchmarks, the guests'
	@echo 'make test-all  the tests, the long ones too, and those with perf, BOLT and others that read profiles'
	@echo 'make bench     run the benchmarks and print the tables of docs/performance.md'
	@echo 'make deps      install the packages all this needs'
	@echo 'make clean     remove everything that was built'

deps:
	@tools/install-deps

$(BUILD)/build.ninja: | deps
	cmake --preset release

build: deps $(BUILD)/build.ninja
	@cmake --build $(BUILD) --parallel $(JOBS)

test: build
	ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS) --label-exclude 'long|nightly|consumers'

test-all: build
	@tools/install-deps consumers
	VPMU_CONSUMERS=required ctest --test-dir $(BUILD) --output-on-failure --no-tests=error --parallel $(JOBS)

demo: deps $(BUILD)/build.ninja
	@cmake --build $(BUILD) --parallel $(JOBS) --target vpmu guests_x86 guests_arm64
	@cmake -DVPMU=$(BUILD)/vpmu -DGUEST=$(BUILD)/guests/x86/demo.elf -DPROFILE=$(BUILD)/demo \
	  -P guests/demo.cmake
	@cmake -DVPMU=$(BUILD)/vpmu -DGUEST=$(BUILD)/guests/arm64/demo.elf -DCPU=neoverse-n1 -DPROFILE=off \
	  -P guests/demo.cmake

bench: build
	@tools/install-deps bench
	@bench/measure --bench $(BUILD)/vpmu_bench

clean:
	rm -rf build
