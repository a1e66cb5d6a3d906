# SPDX-License-Identifier: Apache-2.0
# mtls-agent: one static program. `make help` lists the targets, third_party/README.md tells what it is built from.

ARCH    ?= x86_64
PREFIX  ?= /usr/local
VECTORS ?= $(or $(MTLS_AGENT_VECTORS),$(wildcard ../shared/vectors))
VERSION := $(shell cat VERSION)
E2E     ?= tests/e2e
comma   := ,

# SANITIZE: nothing for the program that ships; else what it is built to be looked at with, from this machine's own compiler
# and C library: address,undefined by the sanitizers, none by valgrind; fuzzer and coverage are tests/fuzz/fuzz.mk's.
SANITIZE ?=
OUT_     := build/$(ARCH)
OUT_none := build/host
OUT_address,undefined := build/sanitized
OUT_fuzzer   := build/fuzz
OUT_coverage := build/coverage

# What is built for another machine than this one is tested by an emulator.
FOREIGN := $(filter-out $(shell uname -m),$(ARCH))

OUT   := $(or $(OUT_$(SANITIZE)),$(error SANITIZE is address$(comma)undefined, none, fuzzer or coverage))
TP    := $(if $(SANITIZE),build/host,$(OUT))/third_party
CC    := $(if $(SANITIZE),gcc,$(TP)/bin/musl-gcc)
BIN   := $(OUT)/mtls-agent
TESTS := $(if $(SANITIZE)$(FOREIGN),$(OUT),build)/tests
# V=1 (or V=) shows the commands; 0, the default, hides them.
V     ?= 0
override V := $(if $(filter 0 @,$(V)),@)
FAULTS ?= 1

# Containers of several users take root to make.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)

# RELEASE=1 puts the commit into the program; without it a change of the docs alone changes no bytes.
COMMIT   := $(if $(RELEASE),$(shell git rev-parse HEAD))
CPPFLAGS := -Isrc -D_GNU_SOURCE -DMTLS_AGENT_VERSION='"$(VERSION)"' -DMTLS_AGENT_COMMIT='"$(if $(COMMIT), ($(COMMIT)))"'
WARN     := -Wall -Wextra -Wshadow -Wconversion -Werror -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
# No _FORTIFY_SOURCE: musl's headers have no checks for it to switch on.
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
SMALL    := -Oz -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables
# As in third_party/build.
CFLAGS_aarch64 := -mno-outline-atomics -mcmodel=tiny -fomit-frame-pointer
# No wider than the ABI says: GCC aligns tables to 32 bytes.
CFLAGS_x86_64  := -malign-data=abi
CFLAGS   := -std=c11 $(WARN) $(HARDEN) $(SMALL) '-ffile-prefix-map=$(CURDIR)=.' $(CFLAGS_$(ARCH))
# LINKER=any: GNU ld where there is no lld, which is 160 MB on disk. That program is larger, and not the one that ships.
LLD      := /usr/lib/llvm-19/bin
LINKER   ?= lld
NEEDED   := $(if $(filter any,$(LINKER)),demo,build)
LLD_USED := $(if $(filter-out any,$(LINKER))$(wildcard $(LLD)/ld.lld),-fuse-ld=lld -B$(LLD))
LDFLAGS  := -static-pie $(LLD_USED) -Wl,-O2,--gc-sections,--build-id=none,--hash-style=gnu \
            -Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs
LDLIBS   := -lcurl -lbearssl -pthread
WATCHED  := $(if $(FOREIGN),tools/emulated $(ARCH))
ifneq ($(SANITIZE),)
# The sanitizers want a dynamic program, and frames between red zones a larger stack. A finding ends the process. Warnings
# are the other build's: code with checks in it sets off false ones.
CHECKED  := $(if $(filter-out none,$(SANITIZE)),-fsanitize=$(SANITIZE) -fsanitize=bounds-strict \
            -fsanitize=float-cast-overflow -fno-sanitize-recover=all)
FINDINGS := $(OUT)/findings
WATCHED  := tools/watched $(if $(CHECKED),sanitized,valgrind) $(FINDINGS)
CPPFLAGS += -isystem $(TP)/include -DARENA_WATCHED \
            $(if $(CHECKED),-DSANITIZE_FINDINGS='"$(CURDIR)/$(FINDINGS)"',-DARENA_MEMCHECK)
CFLAGS   := -std=c11 -w -fPIE -O1 -g -fno-omit-frame-pointer $(CHECKED)
# Nor do they get along with the sandbox: they call what it refuses.
LDFLAGS  := -pie $(CHECKED) $(if $(CHECKED),-static-libasan -static-libubsan) -L$(TP)/lib \
            -Wl,--wrap=confine,--wrap=confine_job
endif
.DEFAULT_GOAL := all
include tests/fuzz/fuzz.mk
# Tests compare signed with unsigned and define functions that no header knows. cmocka.h would define what musl has.
TEST_CFLAGS := $(filter-out -Wconversion -Wmissing-prototypes,$(CFLAGS)) -Itests/unit -DHAVE_UINTPTR_T

# $(call objects,SOURCES): where each source's object goes.
objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

SRC     := $(sort $(shell find src -name '*.c'))
OBJ     := $(call objects,$(SRC) $(if $(CHECKED),tests/sanitize/options.c) $(if $(SANITIZE),tests/memory/free.c))
AGENT   := $(filter-out $(OUT)/obj/src/main.o,$(OBJ))
UNIT    := $(patsubst tests/unit/%.c,$(TESTS)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
HELPERS := $(call objects,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
CONFORM := $(call objects,$(sort $(wildcard tests/conformance/*.c)))
PROGRAM := $(patsubst tests/programs/%.c,$(TESTS)/%,$(wildcard tests/programs/*.c))
# Of a source that was removed nothing else tells; it is linked no more.
LINKED  := $(OUT)/linked
linked   = $(filter %.o,$^)

# Agents that stop, or have a lapse, for tests/memory: what each is linked with besides the agent, and what that replaces.
MEMORY_pausing   := pausing free
MEMORY_unwiped   := pausing unwiped free
MEMORY_elsewhere := elsewhere
MEMORY_dumping   := dumping free
MEMORY_dumped    := dumping dumped free
MEMORY_flipping  := flipping
MEMORY_counting  := counting free
MEMORY_staged    := staged pausing free
WRAP_pausing     := arena_thread_join arena_wipe
WRAP_unwiped     := wipe heap_alloc
WRAP_elsewhere   := pthread_attr_setstack
WRAP_dumping     := setrlimit prctl
WRAP_dumped      := madvise
WRAP_flipping    := key_sign
WRAP_counting    := malloc calloc realloc aligned_alloc
WRAP_staged      := share_make share_agree schedule_begin schedule_handshake schedule_application schedule_resumption \
                    schedule_ticket schedule_update record_keys_in record_keys_out tls13_export
WRAP_free        := confine confine_job
MEMORY := $(addprefix build/tests/memory/,pausing unwiped elsewhere dumping dumped flipping counting staged)

.PHONY: $(shell sed -n 's/^\([a-z][a-z0-9-]*\):.*## .*/\1/p' Makefile) FORCE
.DELETE_ON_ERROR:
.PRECIOUS: $(OUT)/obj/tests/%.o

all: $(BIN) $(if $(SANITIZE)$(FOREIGN),,build/mtls-agent) ## the program (build/x86_64/mtls-agent, linked as build/mtls-agent)

# ---- third-party libraries -------------------------------------------------------------------------------------------------

# $(call list,WORDS): writes a list that is a target, where it is another than the last time.
list = @mkdir -p $(@D); echo '$(sort $(1))' | cmp -s - $@ || echo '$(sort $(1))' >$@
PATCHES := $(wildcard third_party/patches/*/*)

$(TP).patches: FORCE
	$(call list,$(PATCHES))

# The prefix is linked from the cache; a cache that went away is seen here and built again.
$(TP).stamp: third_party/pins third_party/fetch third_party/build $(PATCHES) $(TP).patches \
             $(if $(wildcard $(TP)/lib/libcurl.a),,FORCE)
	@mkdir -p $(@D)
	@tools/bootstrap --check $(NEEDED)
	@tools/bootstrap --check $(ARCH)
	@tools/alive third_party/build $(if $(SANITIZE),host,$(ARCH)) $(TP)
	@touch $@

# ---- the program -----------------------------------------------------------------------------------------------------------

$(OUT)/obj/src/%.o: src/%.c $(TP).stamp Makefile VERSION
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/obj/src/main.o: $(OUT)/commit
$(OUT)/commit: FORCE
	$(call list,$(COMMIT))

# Half of an RSA handshake: fast, not small. tests/constant-time/aarch64 reads these by the line; strip takes the lines away.
RSA := $(call objects,$(addprefix src/x509/,limbs.c rsa_private.c key_rsa.c))
$(RSA): CFLAGS += -g
$(OUT)/obj/src/x509/limbs.o: CFLAGS += -O2

$(LINKED): FORCE
	$(call list,$(OBJ) $(HELPERS) $(CONFORM) $(LLD_USED))

$(BIN).debug: $(OBJ) $(LINKED)
	@tools/bootstrap --check $(NEEDED)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(if $(SANITIZE)$(FOREIGN),,-Wl$(comma)-Map=$(BIN).map) $(linked) $(LDLIBS) -o $@

$(BIN): $(BIN).debug
	@echo "  STRIP $@"
	$(V)$(if $(SANITIZE),cp $< $@,$(if $(FOREIGN),$(ARCH)-linux-gnu-)strip -s $< -o $@)

build/mtls-agent: $(BIN)
	@ln -sfn $(ARCH)/mtls-agent $@

# ---- what is handed on -----------------------------------------------------------------------------------------------------

both: ## the program for x86_64 and for aarch64
	@$(MAKE) --no-print-directory ARCH=x86_64 all
	@$(MAKE) --no-print-directory ARCH=aarch64 all

# The same bytes from every checkout of a commit: its time is that of all files.
dist images packages: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
dist images: export REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)

dist: both ## build/dist: both programs and what goes with them, checksums, SBOM (DIST_KEY=SSH-KEY signs)
	@tools/bootstrap --check dist
	@for arch in x86_64 aarch64; do \
	    SOURCE_DATE_EPOCH=0 $(MAKE) --no-print-directory ARCH=$$arch host-archive \
	        HOST_ROOT=build/dist-root/$$arch HOST_ARCHIVE=build/dist-root/$$arch.tar.gz || exit; \
	done
	@tools/dist build/dist-root build/dist

docs: ## build/book: the pages as a site, by mdBook, which is built once from its crate (Rust; some minutes)
	@tools/make-mdbook build/mdbook
	@tools/make-book build/mdbook

images: both ## build/images: container images for both, in an OCI layout
	@tools/bootstrap --check dist
	@tools/oci-images build/images

packages: dist ## build/packages: deb, rpm and apk for both, and what apt, dnf and apk read (PACKAGES_KEY=, APK_KEY= sign)
	@tools/bootstrap --check packages
	@rm -rf build/packages-root
	@for arch in x86_64 aarch64; do \
	    $(MAKE) --no-print-directory -s ARCH=$$arch install DESTDIR=build/packages-root/$$arch PREFIX=/usr || exit; \
	done
	@tools/packages build/packages-root build/dist/mtls-agent-$(VERSION) build/packages
	@tools/repositories build/packages

release: ## all of a release but the upload, in a checkout of its own: VERSION=X, keys as in docs/releasing.md
	@tools/release "$(if $(filter command line,$(origin VERSION)),$(VERSION))"

# ---- test programs ---------------------------------------------------------------------------------------------------------

$(OUT)/obj/tests/%.o: tests/%.c $(TP).stamp Makefile VERSION
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(V)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

# Time passes by sleeps alone: tests/unit/still_clock.c.
CLOCK := clock_ms clock_left clock_share clock_sleep
$(addprefix $(TESTS)/unit/test_,credentials prefetch retry secretsmanager sts): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CLOCK))

# What is asked by others is a list.
$(TESTS)/unit/test_agent $(TESTS)/unit/test_agent_back: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CLOCK) clock_wall profiles_load roots_load \
    roots_profile anchors_free $(addprefix secretsmanager_,new free renew describe get drop_mixed may_prefetch) rehearse enclave_accepts)
$(TESTS)/unit/test_attestation: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CLOCK) $(addprefix attest_,form_read document_read genuine image peer age echoes))
$(TESTS)/unit/test_probe: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CLOCK) http_new http_run http_free attestation_judge)
$(TESTS)/unit/test_rehearse: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CLOCK) probe_endpoints installed_identity random_below pins_write calloc free)

# A target as NFS shows it.
$(TESTS)/unit/test_install_shared: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,flock fstatfs fstat fstatat openat fchown)

# Rights that are not told.
$(TESTS)/unit/test_hook: LDFLAGS += -Wl,--wrap=faccessat

# Threads that are few.
$(TESTS)/unit/test_threads: LDFLAGS += -Wl,--wrap=pthread_create,--wrap=getaddrinfo

# Memory that is short.
$(TESTS)/unit/test_shortage $(TESTS)/unit/test_shortage_aws: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,heap_alloc heap_realloc malloc calloc realloc)

$(TESTS)/unit/%: $(OUT)/obj/tests/unit/%.o $(HELPERS) $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) -Wl,--wrap=_cmocka_run_group_tests $(linked) -lcmocka $(LDLIBS) -o $@

$(TESTS)/conformance: $(CONFORM) $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) -Wl,--wrap=http_perform,--wrap=access,--wrap=trust_read $(linked) $(LDLIBS) -o $@

$(TESTS)/bogo-shim: $(OUT)/obj/tests/bogo/shim.o $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(linked) $(LDLIBS) -o $@

# valgrind's requests are macros in headers of this machine's.
$(OUT)/obj/tests/constant-time/constant_time.o: CPPFLAGS += -idirafter /usr/include
$(TESTS)/constant-time: $(OUT)/obj/tests/constant-time/constant_time.o $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,br_rsa_i62_public br_ecdsa_i31_vrfy_asn1 \
	    br_i31_bit_length) $(linked) -lcmocka $(LDLIBS) -o $@

# The objects of the program that ships, and this machine's OpenSSL.
$(TESTS)/prove-rsa: tests/rsa/prove.c $(RSA)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)gcc -std=c11 -O1 -Wall -Wextra -Isrc -idirafter $(TP)/include $^ $(TP)/lib/libbearssl.a -lcrypto -o $@

$(TESTS)/bench-crypto: $(OUT)/obj/tests/bench/crypto.o $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(linked) $(LDLIBS) -o $@

$(TESTS)/fleet: $(OUT)/obj/tests/fleet/fleet.o $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(linked) $(LDLIBS) -o $@

$(TESTS)/agent-clock: $(OUT)/obj/tests/programs/agent-clock.o $(OBJ) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,clock_wall clock_sleep clock_ms clock_left \
	    timerfd_settime pthread_create) $(linked) $(LDLIBS) -o $@

# $(1): the agent's name. The map says which object a place in the program is of.
define memory-agent
build/tests/memory/$(1): $(OBJ) $(patsubst %,$(OUT)/obj/tests/memory/%.o,$(MEMORY_$(1))) $(LINKED)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	$$(V)$$(CC) $$(LDFLAGS) -Wl,-Map=$$@.map \
	    $$(foreach part,$(MEMORY_$(1)),$$(addprefix -Wl$$(comma)--wrap=,$$(WRAP_$$(part)))) $$(linked) $$(LDLIBS) -o $$@
endef
$(foreach agent,$(notdir $(MEMORY)),$(eval $(call memory-agent,$(agent))))

$(TESTS)/%: $(OUT)/obj/tests/programs/%.o $(AGENT) $(LINKED)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(V)$(CC) $(LDFLAGS) $(linked) $(LDLIBS) -o $@

# ---- what to run: each ends with `N passed, M failed`, and what was left out ------------------------------------------------

# Side by side: most of them wait for servers, hosts and clocks. The long ones come first.
TESTED := test-e2e test-hosts test-containers check test-valgrind test-memory test-aarch64 fuzz test-sanitized test-faults \
          test-dist analyse test-unit conformance fleet test-bearssl constant-time

test: ## everything: bootstrap, build, then the tests and checks of each kind; what each prints comes when it has ended
	tools/bootstrap
	$(MAKE) both
	tools/sum-up $(MAKE) -j2 --output-sync=target FAULTS=80 $(TESTED)

conformance: $(TESTS)/conformance ## others' test vectors (MTLS_AGENT_VECTORS=FOLDER)
	@MTLS_AGENT_VECTORS="$(VECTORS)" $(WATCHED) tests/conformance/run $<

test-sanitized: ## unit and conformance tests of a program built with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory SANITIZE=address,undefined test-unit conformance

test-e2e-sanitized: ## the program so built against real servers; 8 minutes
	@$(MAKE) --no-print-directory SANITIZE=address,undefined test-e2e

test-valgrind: ## unit tests by valgrind
	@tools/bootstrap --check valgrind
	@$(MAKE) --no-print-directory SANITIZE=none test-unit

# Of the tests against real servers those that go through all of the program and need nothing that QEMU lacks.
test-aarch64: ## unit and conformance tests, and the core of those against real servers, for aarch64 by QEMU
	@$(MAKE) --no-print-directory constant-time-aarch64
	@$(MAKE) --no-print-directory ARCH=aarch64 conformance
	@$(MAKE) --no-print-directory ARCH=aarch64 test-unit
	@$(MAKE) --no-print-directory ARCH=aarch64 test-e2e \
	    E2E="$(patsubst %,tests/e2e/test_%.py,fetch enclave tls credentials versions target healthcheck run)"

test-dist: dist images venv ## what is handed on: complete, signed, described, and the same from another checkout
	@tools/bootstrap --check check
	@build/venv/bin/pytest -c tests/dist/pytest.ini tests/dist

# Of Debian 12 and 13 alike.
test-packages: packages venv ## packages installed, upgraded, removed, and read by apt and dnf from signed folders; what make release refuses; as root
	@tools/bootstrap --check e2e
	@tools/bootstrap --check hosts
	@$(AS_ROOT) env MTLS_AGENT=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    build/venv/bin/pytest -c tests/packages/pytest.ini tests/packages

test-images: images venv ## the images in containers that are given no more than ECS gives
	@tools/bootstrap --check e2e
	@tools/bootstrap --check containers
	@build/venv/bin/pytest -c tests/images/pytest.ini tests/images

test-unit: $(UNIT) ## tests of single rooms, in C
	@$(WATCHED) tools/run-unit $^

CONSTANT := valgrind -q --vgdb=no --suppressions=tests/constant-time/suppressions
constant-time: $(TESTS)/constant-time ## that signatures, key exchange, key schedule and records take no way that a secret chooses
	@tools/bootstrap --check valgrind
	@TEST_UNDER="$(CONSTANT)" tools/run-unit $<

constant-time-aarch64: ## that RSA's private operation branches on nothing secret for aarch64, and divides nothing: reads the code
	@$(MAKE) --no-print-directory ARCH=aarch64 constant-time-read

constant-time-read: $(RSA)
	@tests/constant-time/aarch64 $^

RSA_CASES ?= 1000000
prove-rsa: $(TESTS)/prove-rsa $(addprefix $(TESTS)/unit/,test_limbs8 test_key) ## RSA's private operation: a million cases against BearSSL and OpenSSL, and all numbers of 8-bit limbs; an hour
	@tools/bootstrap --check prove
	@TEST_LIMIT_S=7200 PROOF=1 tools/run-unit $(filter %8 %key,$^)
	@$< $(RSA_CASES)

test-bearssl: $(TP).stamp ## BearSSL's own certificate chains, over the patched library
	@tools/run-bearssl $(TP)/share/bearssl

test-bogo: $(TESTS)/bogo-shim ## BoringSSL's tests of clients: RUNNER=FOLDER is ssl/test/runner of its tree (tests/bogo/run)
	@tests/bogo/run $< "$(RUNNER)"

test-e2e: all venv $(PROGRAM) ## the program against real servers
	@tools/bootstrap --check e2e
	@MTLS_AGENT=$(BIN) MTLS_AGENT_PROGRAMS=$(TESTS) $(WATCHED) build/venv/bin/pytest -c tests/e2e/pytest.ini -n $(if $(FOREIGN)$(SANITIZE),3,5) --dist loadfile --no-loadscope-reorder $(E2E)

# What needs a toolchain or library that the machine lacks is skipped, with the reason.
test-servers: all venv $(PROGRAM) ## a matrix of real servers of 20 kinds, and ten minutes beside hostile ones (SERVERS_TIMES=N, SERVERS_SECONDS=N)
	@tools/bootstrap --check e2e
	@MTLS_AGENT=$(BIN) MTLS_AGENT_PROGRAMS=$(TESTS) build/venv/bin/pytest -c tests/matrix/pytest.ini -n 2 --dist loadgroup tests/matrix

# Likewise. The first time it builds them: five minutes more, most of it for Rust.
test-clients: all venv ## platform/clients, proxies and kubernetes: each client through 20 rotations without a failed request; 5 minutes
	@tools/bootstrap --check e2e
	@MTLS_AGENT=$(BIN) build/venv/bin/pytest -c tests/clients/pytest.ini -n 2 --dist loadgroup tests/clients

test-faults: all venv $(PROGRAM) ## killed, failed, out of everything, power cut, swapped, read meanwhile (FAULTS=N: every Nth fault)
	@tools/bootstrap --check e2e
	@FAULTS=$(FAULTS) build/venv/bin/pytest -c tests/faults/pytest.ini tests/faults

test-memory: all venv $(PROGRAM) $(MEMORY) ## that no secret is left in memory, or elsewhere (MEMORY_MOMENTS=N looks at more moments)
	@tools/bootstrap --check e2e
	@build/venv/bin/pytest -c tests/memory/pytest.ini tests/memory

test-containers: images test-images venv ## what platform/ecs and platform/bottlerocket hold, in containers; as root, or by sudo
	@tools/bootstrap --check e2e
	@tools/bootstrap --check containers
	@$(AS_ROOT) env MTLS_AGENT=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    build/venv/bin/pytest -c tests/containers/pytest.ini tests/containers

test-docs: all venv ## every block of the docs that is marked as runnable, on a host of the page's own; as root, or by sudo
	@tools/bootstrap --check e2e
	@tools/bootstrap --check docs
	@tools/make-venv tests/docs/requirements.txt build/docs-venv
	@$(AS_ROOT) env MTLS_AGENT=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    build/venv/bin/pytest -c tests/docs/pytest.ini tests/docs

test-hosts: all venv host-archive ## hosts that boot, and the Terraform module that makes them; as root (SUITE=trixie for another Debian)
	@tools/bootstrap --check e2e
	@tools/bootstrap --check hosts
	@tools/make-tofu build/tofu
	@$(if $(filter 0,$(shell id -u)),,sudo -E) build/venv/bin/pytest -c tests/hosts/pytest.ini tests/hosts

test-terraform: ## the Terraform module by your own terraform or tofu, with the AWS provider from its registry
	@tools/test-terraform platform/terraform/confidential-container

venv: ## build/venv, with tests/requirements.txt installed
	@tools/make-venv tests/requirements.txt build/venv

size-report: all ## what the program's bytes are: by room of src/ and by library, then the largest files
	@tools/size-report $(BIN).map
	@tools/check-size $(BIN)

check: all ## format, lint, fences between rooms, size, pages that the program must agree with
	@tools/bootstrap --check check
	@tools/check $(BIN) -- -std=c11 $(CPPFLAGS) -nostdlibinc -isystem $(TP)/include

analyse: $(TP).stamp ## gcc -fanalyzer and cppcheck over src/
	@tools/bootstrap --check check
	@tools/analyse $(CC) $(CPPFLAGS) $(CFLAGS)

fleet: $(TESTS)/fleet ## what 10,000 hosts ask of AWS, in simulation; draws docs/fleet.svg
	@$< build/tests/fleet.tsv
	@tools/fleet-picture build/tests/fleet.tsv >docs/fleet.svg

soak: soak-month ## `run` for 10,000 rotations and 100,000 probes, half an hour (SOAK_ROTATIONS=, SOAK_PROBES=), after a month of bad luck
	@build/venv/bin/python tests/soak/soak.py; status=$$?; \
	tools/soak-picture build/soak/samples.tsv >build/soak/soak.html; exit $$status

soak-month: all venv $(TESTS)/agent-clock ## a month of `run` with other endpoints each hour, AWS by dice, and 2038 (MONTH_CYCLES=, MONTH_SEED=)
	@tools/bootstrap --check e2e
	@MTLS_AGENT_PROGRAMS=$(TESTS) build/venv/bin/python tests/soak/month.py

build/tests/measure: tests/bench/measure.c
	@mkdir -p $(@D)
	$(V)gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -o $@ $<

bench: all both venv build/tests/measure ## the same work by others beside us, into docs/performance.md; 20 minutes (BENCH=--turns=N, --rest=SECONDS)
	@build/venv/bin/python tests/bench/bench.py $(BENCH)
	@build/venv/bin/python tests/bench/page.py

bench-probe: all venv ## how long a probe of 900 endpoints takes, and with 100 among them that never answer
	@build/venv/bin/python tests/bench/probe.py

bench-resume: all venv ## what a round of probes costs run, all full and nine of ten resumed (ENDPOINTS=200)
	@build/venv/bin/python tests/bench/resume.py

bench-crypto: $(TESTS)/bench-crypto ## what signatures, verifications, key exchanges and a look at a key take, and what BearSSL's take
	@$<

test-starved: all venv $(PROGRAM) ## the program with 5, 8 and 12 % of a processor; 10 minutes
	@tools/bootstrap --check e2e
	@STARVED=all $(MAKE) --no-print-directory test-e2e E2E=tests/e2e/test_starved.py

# Works in a copy, build/mutants/ROOM; survivors are in build/mutants/ROOM.survivors.
MUTANTS ?= 60
SEED    ?= 1
mutants: all venv ## whether the tests of ROOM=FOLDER (of src/) notice a change of its code; an hour at most (MUTANTS=N, SEED=N)
	@tools/bootstrap --check e2e
	@tests/mutants/mutants "$(ROOM)" --mutants=$(MUTANTS) --seed=$(SEED)

# Installs what it needs and no more; docs/building.md has the sizes.
demo: ## the program at work against an emulator on this machine; installs what that needs, under 400 MB
	@tools/demo-tools
	@$(MAKE) --no-print-directory -j"$$(nproc)" LINKER=any all
	@tools/demo

test-demo: ## `make demo` on a bare Debian, as root and by sudo: what it takes on disk (SUITE=bookworm); as root, 15 minutes
	@tools/bootstrap --check hosts
	@tests/demo/run

# ---- housekeeping ----------------------------------------------------------------------------------------------------------

install: all ## program, systemd units, man pages and completions; DESTDIR and PREFIX are honoured
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/mtls-agent
	install -D -m 644 platform/man/mtls-agent.1 $(DESTDIR)$(PREFIX)/share/man/man1/mtls-agent.1
	install -D -m 644 platform/man/mtls-agent.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/mtls-agent.conf.5
	install -D -m 644 platform/completions/mtls-agent.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mtls-agent
	install -D -m 644 platform/completions/_mtls-agent $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mtls-agent
	install -D -m 644 platform/completions/mtls-agent.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mtls-agent.fish
	install -D -m 644 platform/systemd/fail-open.conf $(DESTDIR)$(PREFIX)/share/mtls-agent/fail-open.conf
	install -D -m 644 platform/systemd/mtls-agent.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mtls-agent.conf
	install -D -m 644 platform/systemd/mtls-agent.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/mtls-agent.conf
	install -D -m 644 platform/systemd/mtls-agent.logrotate $(DESTDIR)/etc/logrotate.d/mtls-agent
	for unit in $(notdir $(wildcard platform/systemd/*.service platform/systemd/*.mount)); do \
	    install -D -m 644 platform/systemd/$$unit $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit && \
	    sed -i 's|=/usr/local/|=$(PREFIX)/|' $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit; \
	done

# What hosts unpack to /: always the same bytes, so that its SHA-256 changes with the content alone.
HOST_ROOT    := $(OUT)/host
HOST_ARCHIVE := $(if $(FOREIGN),$(OUT),build)/mtls-agent-host.tar.gz
host-archive: all ## build/mtls-agent-host.tar.gz: program, units, man pages and completions, to be unpacked over a host's /
	@rm -rf $(HOST_ROOT) && mkdir -p $(HOST_ROOT)
	@$(MAKE) --no-print-directory -s install DESTDIR=$(HOST_ROOT)
	@cd $(HOST_ROOT) && tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@$${SOURCE_DATE_EPOCH:-0} \
	    -c * | gzip -9n >"$(CURDIR)/$(HOST_ARCHIVE)"
	@sha256sum $(HOST_ARCHIVE)

clean: ## what was built from this tree
	rm -rf build

distclean: clean ## that, and the cached libraries and sources
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/mtls-agent"

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo 'SANITIZE=address,undefined builds for sanitizers into build/sanitized, SANITIZE=none for valgrind into build/host.'
	@echo 'SOURCES=FOLDER takes third-party tarballs from there first; V=1 shows the commands.'

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
