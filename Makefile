# `make help` lists what can be made. PREFIX and DESTDIR are used as usual.

CARGO  ?= cargo
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/vw
LICENSEDIR ?= $(DOCDIR)
UNITDIR ?= $(PREFIX)/lib/systemd/system
# logrotate reads no other folder.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# What is installed: the commands, and their completions in a folder.
BUILT  ?= $(TARGET)/release
# The static commands: this architecture, but with musl instead of the system's libc.
STATIC ?= $(shell uname -m)-unknown-linux-musl
IMAGE  ?= vw

.PHONY: all static demo check bench packages image install uninstall help

all:
	$(CARGO) build --release --locked --package vw --package vw-completions
	"$(TARGET)/release/vw-completions" "$(TARGET)/release/completions"

static:
	$(CARGO) build --release --locked --package vw --package vw-completions --target $(STATIC)
	"$(TARGET)/$(STATIC)/release/vw-completions" "$(TARGET)/$(STATIC)/release/completions"

demo:
	$(CARGO) build --workspace --bins --locked
	PATH="$(TARGET)/debug:$$PATH" "$(TARGET)/debug/vw-sim" -- sh demo/demo.sh

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((4 * $$(getconf _NPROCESSORS_ONLN)))} $(CARGO) test --workspace --locked

bench:
	$(CARGO) bench --locked --bench stages

# From what is in BUILT, by `make static` or `make`. They need cargo-deb and cargo-generate-rpm.
packages:
	BUILT="$(BUILT)" MAINTAINER="$(MAINTAINER)" contrib/packages/build.sh

image: static
	BUILT="$(TARGET)/$(STATIC)/release" contrib/packages/image.sh "$(IMAGE)"

install uninstall:
	@BUILT="$(BUILT)" DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" BINDIR="$(BINDIR)" MANDIR="$(MANDIR)" \
	    DOCDIR="$(DOCDIR)" LICENSEDIR="$(LICENSEDIR)" UNITDIR="$(UNITDIR)" SYSCONFDIR="$(SYSCONFDIR)" \
	    BASHDIR="$(BASHDIR)" ZSHDIR="$(ZSHDIR)" FISHDIR="$(FISHDIR)" contrib/install.sh $@

help:
	@echo 'make            builds the commands and their completions'
	@echo 'make install    installs what `make` has built, with manual pages, completions, units of systemd and'
	@echo '                rules for logrotate, into PREFIX ($(PREFIX)) below DESTDIR; it enables nothing'
	@echo 'make uninstall  removes what `make install` installs; needs the same PREFIX and DESTDIR'
	@echo 'make demo       builds, starts simulated servers on loopback, and runs the pipelines against them'
	@echo 'make check      checks format and lints, and runs all tests'
	@echo 'make bench      measures CPU and memory of each stage and of what it cannot avoid, see BENCHMARKS.md'
	@echo 'make static     builds commands that need no libc, for any Linux'
	@echo 'make packages   makes a .deb and an .rpm in target/packages, from what is in BUILT'
	@echo 'make image      makes an image of a container from the static commands, with buildah'
