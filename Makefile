# make          builds the commands for installation
# make demo     builds, starts simulated servers on loopback, and runs the pipelines against them
# make check    checks format and lints, and runs all tests
# make bench    measures CPU and memory of each stage and of what it cannot avoid, see BENCHMARKS.md
# make install  installs what `make` has built, with manual pages, systemd's units and rules for logrotate; it enables nothing.
#               PREFIX (/usr/local) and DESTDIR are used as usual

CARGO  ?= cargo
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/vw
UNITDIR ?= $(PREFIX)/lib/systemd/system
# logrotate reads no other folder.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)

TARGET   := $(abspath $(or $(CARGO_TARGET_DIR),target))
COMMANDS := $(basename $(notdir $(wildcard src/bin/*.rs)))
DOCS     := $(wildcard README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT)

.PHONY: all demo check bench install

all:
	$(CARGO) build --release --locked --package vw

demo:
	$(CARGO) build --workspace --bins --locked
	PATH="$(TARGET)/debug:$$PATH" "$(TARGET)/debug/vw-sim" -- sh demo/demo.sh

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} $(CARGO) test --workspace --locked

bench:
	$(CARGO) bench --locked --bench stages

# It builds nothing, because root may have no Rust.
install:
	@for command in $(COMMANDS); do \
	    test -x "$(TARGET)/release/$$command" || { echo "$$command has not been built: run make first" >&2; exit 1; }; \
	done
	install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(DOCDIR)"
	install $(addprefix "$(TARGET)"/release/,$(COMMANDS)) "$(DESTDIR)$(BINDIR)"
	for section in 1 5 7; do \
	    install -d "$(DESTDIR)$(MANDIR)/man$$section" || exit; \
	    for page in man/*.$$section; do \
	        test ! -e "$$page" || install -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$$section" || exit; \
	    done; \
	done
	install -m 644 $(DOCS) "$(DESTDIR)$(DOCDIR)"
	install -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(SYSCONFDIR)/logrotate.d" "$(DESTDIR)$(DOCDIR)/examples"
	for unit in contrib/systemd/*.service contrib/systemd/*.timer; do \
	    sed 's|/usr/local/bin/|$(BINDIR)/|' "$$unit" > "$(DESTDIR)$(UNITDIR)/$${unit##*/}" || exit; \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$${unit##*/}" || exit; \
	done
	install -m 644 contrib/logrotate/vw "$(DESTDIR)$(SYSCONFDIR)/logrotate.d/vw"
	sed 's|/usr/local/bin:|$(BINDIR):|' contrib/cron/vw > "$(DESTDIR)$(DOCDIR)/examples/cron"
	install -m 644 contrib/systemd/credentials.conf "$(DESTDIR)$(DOCDIR)/examples"
	cp -R contrib/kubernetes "$(DESTDIR)$(DOCDIR)/examples"
