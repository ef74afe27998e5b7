# The one entry point. `make` builds, `make run` shows a sandbox, `make test` tests everything, `make check` audits the sources.
# Each target installs nothing by itself but `setup`, which `run`, `test` and `bench` call first.

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
EXECUTABLES = nestbox nestbox-sentry nestbox-gofer
# Fully static, stripped; an import that the manifest does not declare is an error.
LAYERS = --explicit-target-dependency-import-check error
RELEASE = -c release -Xswiftc -static-executable -Xlinker -s $(LAYERS)

.PHONY: all build setup rootfs check format docs test unit integration run bench install uninstall clean

all: build

build:
	@scripts/stage "release build" $(SWIFT) build $(RELEASE)
	@scripts/check-binaries .build/release

setup:
	@scripts/setup

rootfs: setup
	@scripts/stage "root file system" scripts/make-rootfs

check: setup
	@scripts/stage "sources" scripts/check-sources
	@scripts/stage "layers" scripts/check-layers
	@scripts/stage "format" $(SWIFT) format lint --strict --parallel --recursive Sources Tests IntegrationTests
	@scripts/stage "generated documents" $(SWIFT) test $(LAYERS) --disable-xctest --filter GeneratedDocuments

# Rewrites the sources in the project's format.
format:
	$(SWIFT) format --in-place --parallel --recursive Sources Tests IntegrationTests

# Writes docs/compatibility.md, docs/isolation.md and docs/wire-protocol.md anew from the tables in the code.
docs:
	NESTBOX_WRITE_DOCUMENTS=1 $(SWIFT) test $(LAYERS) --disable-xctest --filter GeneratedDocuments

test: rootfs build unit integration

unit:
	@scripts/stage "unit tests" $(SWIFT) test $(LAYERS) --disable-xctest --no-parallel --skip IntegrationTests

# FILTER is a regular expression of test names, as in `make integration FILTER=Lifecycle`.
FILTER ?=
integration:
	@scripts/stage "integration tests" scripts/integration "$(FILTER)"
	@[ -n "$(FILTER)" ] || NESTBOX_FLAGS="--platform ptrace" scripts/stage "integration tests on ptrace" scripts/integration

run: rootfs build
	@scripts/show

# PEER="NAME=COMMAND" adds another OCI runtime to the comparison.
export PEER
bench: rootfs build
	@Benchmarks/run

install: build
	install -d "$(DESTDIR)$(PREFIX)/bin"
	for name in $(EXECUTABLES); do install -m 0755 .build/release/$$name "$(DESTDIR)$(PREFIX)/bin/$$name" || exit 1; done

uninstall:
	for name in $(EXECUTABLES); do rm -f "$(DESTDIR)$(PREFIX)/bin/$$name"; done

clean:
	rm -rf .build
