# SPDX-License-Identifier: Apache-2.0
# Fuzzers, by clang and libFuzzer: SANITIZE=fuzzer builds them with the sanitizers, SANITIZE=coverage so that they tell which
# lines they reach. docs/fuzzing.md says what they do.

FUZZERS      := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SECONDS ?= 10

# What a fuzzer is linked with besides fuzz.c and the agent, and what of the agent or a library that replaces.
PARTS_arguments      := answers
PARTS_document       := supervise
PARTS_handshake      := peer client
PARTS_http           := peer client
PARTS_installed      := supervise
PARTS_metadata       := answers
PARTS_profile        := answers
PARTS_secretsmanager := answers
PARTS_status         := supervise
PARTS_sts            := answers
PARTS_tls            := peer client
PARTS_tls13          := peer client
WRAP_fuzz            := heap_alloc heap_realloc malloc calloc realloc clock_ms clock_wall clock_left clock_sleep \
                        random_bytes getentropy kill
WRAP_answers         := http_perform
WRAP_arguments       := connect send
WRAP_client          := cert_signed_by tls_hook
WRAP_supervise       := supervise
WRAP_chain           := cert_signed_by
WRAP_hook            := _exit prctl signal sigprocmask signalfd
WRAP_http            := socket connect getpeername getsockname curl_multi_poll
WRAP_installed       := fsync
WRAP_names           := socket connect send recv poll
WRAP_status          := target_state_read install_run_lock_holder

ifneq ($(filter fuzzer coverage,$(SANITIZE)),)
CC       := clang-19
# BearSSL's classes are called through other types of functions. An empty view is NULL + 0, which C2y defines.
WATCH_fuzzer   := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-sanitize=function \
                  -fno-delete-null-pointer-checks
WATCH_coverage := -fprofile-instr-generate -fcoverage-mapping
CHECKED  :=
CPPFLAGS := -Isrc -D_GNU_SOURCE -DMTLS_AGENT_VERSION='"$(VERSION)"' -isystem $(TP)/include -DARENA_WATCHED \
            $(if $(filter fuzzer,$(SANITIZE)),-D__SANITIZE_ADDRESS__)
CFLAGS   := -std=c11 -w -fPIE -O1 -g -fno-omit-frame-pointer $(WATCH_$(SANITIZE))
LDFLAGS  := -pie $(WATCH_$(SANITIZE)) -fsanitize=fuzzer -L$(TP)/lib
FUZZ_AGENT := $(patsubst %.c,$(OUT)/obj/%.o,$(filter-out src/main.c,$(sort $(shell find src -name '*.c'))))
FUZZ_PROGRAMS := $(addprefix $(OUT)/fuzz_,$(FUZZERS))

# BearSSL with the same instruments; where the processor does without alignment, so does it.
$(OUT)/libbearssl.a: tests/fuzz/bearssl tests/fuzz/fuzz.mk $(TP).stamp
	@mkdir -p $(@D)
	@echo "  BUILD bearssl"
	$(V)tests/fuzz/bearssl $@ $(CC) $(filter-out -std=c11 -O1,$(CFLAGS)) -O2 $(if $(filter fuzzer,$(SANITIZE)),-fno-sanitize=alignment)
# What a fuzzer does not need is not in it: that much less for libFuzzer to look at after each input.
$(OUT)/libagent.a: $(FUZZ_AGENT) $(OUT)/linked
	@rm -f $@
	$(V)ar rcs $@ $(filter %.o,$^)

# $(1): a fuzzer's name.
define fuzzer
$(OUT)/fuzz_$(1): $(patsubst %,$(OUT)/obj/tests/fuzz/%.o,fuzz_$(1) fuzz $(PARTS_$(1))) $(OUT)/libagent.a $(OUT)/libbearssl.a
	@echo "  LINK  $$@"
	$$(V)$$(CC) $$(LDFLAGS) $(foreach part,fuzz $(1) $(PARTS_$(1)),$(addprefix -Wl$(comma)--wrap=,$(WRAP_$(part)))) \
	    $$(filter %.o,$$^) $(OUT)/libagent.a -lcurl $(OUT)/libbearssl.a -pthread -o $$@
endef
$(foreach name,$(FUZZERS),$(eval $(call fuzzer,$(name))))
endif

.PHONY: fuzz fuzz-coverage fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)

fuzz: ## hostile bytes for every parser and the TLS client (FUZZ_SECONDS=N each, FUZZERS='NAME...')
	@tools/bootstrap --check fuzz
	@$(MAKE) --no-print-directory SANITIZE=fuzzer FUZZERS="$(FUZZERS)" fuzz-programs
	@tests/fuzz/run build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

fuzz-coverage: fuzz ## that, and which lines of the parsers it has reached so far
	@tools/bootstrap --check fuzz
	@$(MAKE) --no-print-directory SANITIZE=coverage fuzz-programs
	@tests/fuzz/coverage build/coverage $(FUZZERS)
