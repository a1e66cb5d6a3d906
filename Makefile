# SPDX-License-Identifier: Apache-2.0
# mtls-agent: one static program. `make help` lists the targets, third_party/README.md tells what it is built from.

ARCH    ?= x86_64
PREFIX  ?= /usr/local
VECTORS ?= $(or $(MTLS_AGENT_VECTORS),$(wildcard ../shared/vectors))
VERSION := $(shell cat VERSION)

OUT := build/$(ARCH)
TP  := $(OUT)/third_party
CC  := $(TP)/bin/musl-gcc
BIN := $(OUT)/mtls-agent
V   ?= @

CPPFLAGS := -Isrc -D_GNU_SOURCE -DMTLS_AGENT_VERSION='"$(VERSION)"'
WARN     := -Wall -Wextra -Wshadow -Wconversion -Werror -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
# No _FORTIFY_SOURCE: musl's headers have no checks for it to switch on.
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
SMALL    := -Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables
CFLAGS   := -std=c11 $(WARN) $(HARDEN) $(SMALL) -ffile-prefix-map=$(CURDIR)=. \
            $(if $(filter aarch64,$(ARCH)),-mno-outline-atomics)
LDFLAGS  := -static-pie -Wl,--gc-sections,--build-id=none,--hash-style=gnu \
            -Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs
LDLIBS   := -lcurl -lbearssl -pthread
# Tests compare signed with unsigned and define functions that no header knows.
TEST_CFLAGS := $(filter-out -Wconversion -Wmissing-prototypes,$(CFLAGS)) -Itests/unit

# $(call objects,SOURCES): where each source's object goes.
objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

SRC     := $(sort $(shell find src -name '*.c'))
OBJ     := $(call objects,$(SRC))
AGENT   := $(filter-out $(OUT)/obj/src/main.o,$(OBJ))
UNIT    := $(patsubst tests/unit/%.c,build/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
HELPERS := $(call objects,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
CONFORM := $(call objects,$(sort $(wildcard tests/conformance/*.c)))
PROGRAM := $(patsubst tests/programs/%.c,build/tests/%,$(wildcard tests/programs/*.c))

# Agents that stop, or have a lapse, for tests/memory: what each is linked with besides the agent, and what that replaces.
MEMORY_pausing   := pausing
MEMORY_unwiped   := pausing unwiped
MEMORY_elsewhere := elsewhere
MEMORY_dumping   := dumping
MEMORY_dumped    := dumping dumped
MEMORY_flipping  := flipping
MEMORY_counting  := counting
WRAP_pausing     := arena_thread_join arena_wipe
WRAP_unwiped     := wipe heap_alloc
WRAP_elsewhere   := pthread_attr_setstack
WRAP_dumping     := setrlimit prctl
WRAP_dumped      := madvise
WRAP_flipping    := key_sign
WRAP_counting    := malloc calloc realloc aligned_alloc
MEMORY := $(addprefix build/tests/memory/,pausing unwiped elsewhere dumping dumped flipping counting)

.PHONY: all test demo conformance test-unit test-bearssl test-e2e test-memory fleet check venv soak bench-probe install clean distclean help FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/obj/tests/%.o

all: $(BIN) build/mtls-agent ## the program (build/x86_64/mtls-agent, linked as build/mtls-agent)

# ---- third-party libraries -------------------------------------------------------------------------------------------------

# The prefix is linked from the cache; a cache that went away is seen here and built again.
$(TP).stamp: third_party/pins third_party/fetch third_party/build $(wildcard third_party/patches/*/*) \
             $(if $(wildcard $(TP)/lib/libcurl.a),,FORCE)
	@mkdir -p $(@D)
	@tools/bootstrap --check build
	@third_party/build $(ARCH) $(TP)
	@touch $@

# ---- the program -----------------------------------------------------------------------------------------------------------

$(OUT)/obj/src/%.o: src/%.c $(TP).stamp Makefile VERSION
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BIN).debug: $(OBJ)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BIN): $(BIN).debug
	@echo "  STRIP $@"
	$(V)$(if $(filter $(ARCH),$(shell uname -m)),,$(ARCH)-linux-gnu-)strip -s $< -o $@

build/mtls-agent: $(BIN)
	@ln -sfn $(ARCH)/mtls-agent $@

# ---- test programs ---------------------------------------------------------------------------------------------------------

$(OUT)/obj/tests/%.o: tests/%.c $(TP).stamp Makefile VERSION
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

build/tests/unit/%: $(OUT)/obj/tests/unit/%.o $(HELPERS) $(AGENT)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

build/tests/conformance: $(CONFORM) $(AGENT)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) -Wl,--wrap=http_perform,--wrap=fs_read $^ $(LDLIBS) -o $@

build/tests/fleet: $(OUT)/obj/tests/fleet/fleet.o $(AGENT)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

build/tests/agent-clock: $(OUT)/obj/tests/programs/agent-clock.o $(OBJ)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) -Wl,--wrap=clock_wall $^ $(LDLIBS) -o $@

# $(1): the agent's name. The map says which object a place in the program is of.
define memory-agent
build/tests/memory/$(1): $(OBJ) $(patsubst %,$(OUT)/obj/tests/memory/%.o,$(MEMORY_$(1)))
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	$$(V)$$(CC) $$(LDFLAGS) -Wl,-Map=$$@.map \
	    $$(foreach part,$(MEMORY_$(1)),$$(addprefix -Wl$$(comma)--wrap=,$$(WRAP_$$(part)))) $$^ $$(LDLIBS) -o $$@
endef
comma := ,
$(foreach agent,$(notdir $(MEMORY)),$(eval $(call memory-agent,$(agent))))

build/tests/%: $(OUT)/obj/tests/programs/%.o $(AGENT)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# ---- what to run: each ends with `N passed, M failed` ----------------------------------------------------------------------

test: ## everything: bootstrap, build, then every test and check below
	tools/bootstrap
	$(MAKE) all
	$(MAKE) conformance
	$(MAKE) fleet
	$(MAKE) test-unit
	$(MAKE) test-bearssl
	$(MAKE) test-e2e
	$(MAKE) test-memory
	$(MAKE) check

conformance: build/tests/conformance ## others' test vectors (MTLS_AGENT_VECTORS=FOLDER)
	@MTLS_AGENT_VECTORS="$(VECTORS)" tests/conformance/run $<

test-unit: $(UNIT) ## tests of single rooms, in C
	@tools/run-unit $^

test-bearssl: $(TP).stamp ## BearSSL's own certificate chains, over the patched library
	@tools/run-bearssl $(TP)/share/bearssl

test-e2e: all venv $(PROGRAM) ## the program against real servers
	@tools/bootstrap --check e2e
	@build/venv/bin/pytest tests/e2e

test-memory: all venv $(PROGRAM) $(MEMORY) ## that no secret is left in memory, or elsewhere (MEMORY_MOMENTS=N looks at more moments)
	@tools/bootstrap --check e2e
	@build/venv/bin/pytest -c tests/memory/pytest.ini tests/memory

venv: ## build/venv, with tests/requirements.txt installed
	@tools/make-venv tests/requirements.txt build/venv

check: all ## format, lint, fences between rooms, size, pages that the program must agree with
	@tools/bootstrap --check check
	@tools/check $(BIN) -- -std=c11 $(CPPFLAGS) -nostdlibinc -isystem $(TP)/include

fleet: build/tests/fleet ## what 10,000 hosts ask of AWS, in simulation; draws docs/fleet.svg
	@$< build/tests/fleet.tsv
	@tools/fleet-picture build/tests/fleet.tsv >docs/fleet.svg

soak: all venv ## `run` for 10,000 rotations and 100,000 probes, half an hour (SOAK_ROTATIONS=, SOAK_PROBES=)
	@tools/bootstrap --check e2e
	@build/venv/bin/python tests/soak/soak.py; status=$$?; \
	tools/soak-picture build/soak/samples.tsv >build/soak/soak.html; exit $$status

bench-probe: all venv ## how long a probe of 900 endpoints takes, and with 100 among them that never answer
	@build/venv/bin/python tests/bench/probe.py

demo: ## the program at work against an emulator on this machine
	@tools/bootstrap
	@$(MAKE) --no-print-directory all venv
	@tools/demo

# ---- housekeeping ----------------------------------------------------------------------------------------------------------

install: all ## DESTDIR and PREFIX are honoured
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/mtls-agent

clean: ## what was built from this tree
	rm -rf build

distclean: clean ## that, and the cached libraries and sources
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/mtls-agent"

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo 'SOURCES=FOLDER takes third-party tarballs from there first; V= shows the commands.'

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
