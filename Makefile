# The front door.  PG_CONFIG=... names the pg_config of another server.
#
#   make                extension and gateway
#   make viewer         fetch what the page at /docs is made of, if it is not there: for a build without network
#   make console        build the page at /console, if its sources have changed; likewise
#   make install        both, into the server and into $(prefix)/bin
#   make installcheck   test the installed extension on the running server of the PG* environment
#   make run            everything that a first try needs, then the gateway in the foreground
#   make check-quick    the extension's regression scripts and the gateway's unit tests, in less than a minute
#   make test           everything that is tested, from nothing
#   make test-debian    the packages on clean Debians 12, 13 and sid, and make test on 13; for root, takes an hour
#   make test-alerts    each alert of deploy/prometheus with a real Prometheus, in a minute
#   make test-ha        three databases with Patroni, two gateways: one after the other is broken; for root, 20 minutes
#   make test-container deploy/container as containers, up to an upgrade; for root, 12 minutes, and 2 the next time
#   make ubsan          the extension's tests with the undefined-behaviour sanitizer
#   make asan           the gateway's tests with that and the address sanitizer
#   make valgrind       the extension's tests under valgrind; takes half an hour
#   make fuzz           the gateway's reading and binding with random input, a minute each; tools/fuzz SECONDS for longer
#   make bench          measure speed, and compare with an earlier gateway; takes half an hour
#   make format         write all C++ in the style of .clang-format
#   make lint           look for mistakes without running anything; part of make test
#   make docs           write docs/sql.md again
#   make screenshots    take the pictures of the console again, docs/images/*.png
#   make deb            Debian packages, into build/deb
#   make release VERSION=1.1   write that version everywhere, see that all agree, and commit; tags and pushes nothing
#   make clean          what was built; data stays

PG_CONFIG ?= pg_config
prefix ?= /usr/local
export PG_CONFIG prefix

.PHONY: all extension configure gateway viewer console tests unit-tests install installcheck run check-quick test
.PHONY: test-debian test-alerts test-ha test-container ubsan asan valgrind fuzz bench format lint docs screenshots deb
.PHONY: release clean

all: extension gateway

extension:
	$(MAKE) -C extension all

gateway: configure
	$(MAKE) -C build/gateway pg_org_gateway

tests: configure
	$(MAKE) -C build/gateway

unit-tests: configure
	$(MAKE) -C build/gateway unit_test

# Each time: npm may have been installed since.
configure:
	cmake -G 'Unix Makefiles' -S . -B build/gateway

viewer: gateway/viewer/node_modules/.package-lock.json

gateway/viewer/node_modules/.package-lock.json: gateway/viewer/package-lock.json
	cd gateway/viewer && npm ci --ignore-scripts --no-audit --no-fund

console: console/dist/console.js

console_sources := $(filter-out console/dist/%,$(wildcard console/*.* console/*/*.ts* console/*/*.css))

console/node_modules/.package-lock.json: console/package-lock.json
	cd console && npm ci --ignore-scripts --no-audit --no-fund

console/dist/console.js: console/node_modules/.package-lock.json $(console_sources)
	node console/build.mjs

# Builds nothing of the gateway: this may be root, and the build somebody else's.
install:
	$(MAKE) -C extension install
	install -D -m 755 build/gateway/pg_org_gateway $(DESTDIR)$(prefix)/bin/pg_org_gateway

installcheck run check-quick test test-alerts test-ha test-container ubsan asan valgrind fuzz bench format lint docs \
    screenshots deb:
	@tools/$@

release:
	@tools/release $(VERSION)

test-debian:
	test/debian/run bookworm
	test/debian/run trixie make test
	test/debian/run sid

clean:
	$(MAKE) -C extension clean
	rm -rf build console/dist
