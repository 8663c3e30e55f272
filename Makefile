# SPDX-License-Identifier: Apache-2.0
#
# Top-level build. Sources are found by wildcard: a new file in one of the
# directories below needs no change here. Everything that is built goes to $(B).
# `make help` lists the targets and variables.

ifeq ($(origin CC),default)
CC := gcc
endif
# Sanitized builds are for tests: easier to read, and quicker to make, which is most of what they cost. The library,
# which the tests call all the time, is optimized (below).
CFLAGS ?= $(if $(SAN),-O0 -g1,-O2 -g)
PREFIX ?= /usr/local
SAN ?=
comma := ,
ifdef SAN
B ?= build-$(subst $(comma),-,$(SAN))
else
B ?= build
endif
VERSION := $(shell cat VERSION)

SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/daxfs
UNITDIR ?= $(PREFIX)/lib/systemd/system
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
SCHEMADIR ?= $(PREFIX)/share/daxfs/schemas
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
# Not below PREFIX: mount(8) looks for its helpers here.
MOUNTDIR ?= /sbin

# -- flags ------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wpointer-arith -Wcast-qual
STD := -std=c11 -fPIC -fvisibility=hidden -pthread
INC_LIB := -Iinclude -Ilibdaxfs
# Programs see include/, common/ and proto/ only; tests see everything.
INC_PROG := -Iinclude -I. -I$(B)/gen -I$(B)/gen/proto
INC_TEST := $(INC_LIB) $(INC_PROG) -Itests
CPPFLAGS += -D_GNU_SOURCE -DDAXFS_RELEASE='"$(VERSION)"'
ifdef SAN
# gcc warns of what only its own instrumentation made; the plain build has -Werror.
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all $(if $(findstring clang,$(CC)),,-Wno-error)
ifneq ($(findstring thread,$(SAN)),)
# gcc warns that tsan does not model fences; shared words do not rely on it.
SANFLAGS += $(if $(findstring clang,$(CC)),,-Wno-tsan)
endif
endif
COMPILE = $(CC) $(STD) $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -MMD -MP -c
# Tests are linked by the hundred: lld takes half of the time for one, and a third with a sanitizer's library.
# Programs are linked by the compiler's own linker.
LD_TEST := $(if $(shell command -v ld.lld),-fuse-ld=lld)
LINK = $(CC) -pthread $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -Wl,--as-needed
# Expanded when a recipe runs, so that `make deps` may install pkg-config first.
FUSE_CFLAGS = $(shell pkg-config --cflags fuse3)
LIBS = -ldaxctl
LIBS_PROG = -lev -lsystemd -lprotobuf-c -ljson-c $(shell pkg-config --libs fuse3) $(LIBS)

# -- sources ------------------------------------------------------------------

LIB_SRC := $(sort $(wildcard libdaxfs/*.c libdaxfs/*/*.c))
# The simulator replaces the seam, so it has its own idea of writing back.
SIM_LIB_SRC := $(filter-out libdaxfs/mem/writeback.c,$(LIB_SRC))
SIM_SRC := $(sort $(wildcard tests/sim/*.c tests/sim/*/*.c))
# What a simulated pod runs of the daemons: all that decides.
SIM_PROG_SRC := $(addprefix fabricd/,decide.c decide_observe.c decide_table.c events.c gaps.c monitor.c) node-agent/self_recover.c node-agent/backing_write.c node-agent/backing_dirty.c
PROTO := $(sort $(wildcard proto/*.proto))
PROTO_SRC := $(sort $(wildcard proto/*.c))
COMMON_SRC := $(sort $(wildcard common/*.c))
FABRICD_SRC := $(sort $(wildcard fabricd/*.c))
AGENT_SRC := $(sort $(wildcard node-agent/*.c))
CTL_SRC := $(sort $(wildcard daxfsctl/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELP := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
CHAOS_ALL := $(sort $(wildcard tests/chaos/*.c))
CHAOS_SRC := $(if $(CHAOS_ALL),$(shell grep -l '^int main' $(CHAOS_ALL)))
CHAOS_HELP := $(filter-out $(CHAOS_SRC),$(CHAOS_ALL))
PROGRAMS_SRC := $(sort $(wildcard tests/programs/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
SIM_OBJ := $(patsubst %.c,$(B)/obj-sim/%.o,$(SIM_LIB_SRC) $(SIM_SRC) $(SIM_PROG_SRC))
PROTO_GEN := $(patsubst %.proto,$(B)/gen/%.pb-c.c,$(PROTO))
PROTO_HDR := $(PROTO_GEN:.c=.h)
PROTO_OBJ := $(PROTO_GEN:.c=.o) $(call obj,$(PROTO_SRC))
COMMON_OBJ := $(call obj,$(COMMON_SRC))
FABRICD_OBJ := $(call obj,$(FABRICD_SRC))
AGENT_OBJ := $(call obj,$(AGENT_SRC))
CTL_OBJ := $(call obj,$(CTL_SRC))

LIB_A := $(B)/lib/libdaxfs.a
LIB_SO := $(B)/lib/libdaxfs.so.1
# Program-side code without its main(), for the unit tests.
PROTO_A := $(B)/lib/proto.a
COMMON_A := $(B)/lib/common.a
FABRICD_A := $(B)/lib/fabricd.a
AGENT_A := $(B)/lib/agent.a
CTL_A := $(B)/lib/ctl.a
TEST_A := $(B)/lib/test.a
CHAOS_A := $(B)/lib/chaos.a

main = $(filter %/main.o,$(1))
BINS := $(if $(call main,$(FABRICD_OBJ)),$(B)/bin/fabricd) \
	$(if $(call main,$(AGENT_OBJ)),$(B)/bin/daxfs-node-agent) \
	$(if $(call main,$(CTL_OBJ)),$(B)/bin/daxfsctl) \
	$(if $(SIM_SRC),$(if $(shell grep -l "^int main" $(SIM_SRC)),$(B)/bin/daxfs-sim))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
CHAOS_BIN := $(CHAOS_SRC:tests/chaos/%.c=$(B)/tests/%)
PROGRAMS_BIN := $(PROGRAMS_SRC:tests/programs/%.c=$(B)/tests/%)
EXAMPLE_BIN := $(patsubst examples/%.c,$(B)/examples/%,$(sort $(wildcard examples/*.c)))

# -- targets ------------------------------------------------------------------

.PHONY: all lib tests unit-tests older-programs examples chaos-programs bench-programs check check-long check-vm demo bench bench-cache lint deb install uninstall clean help \
	deps deps-check deps-lint deps-programs FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

all: lib $(BINS)
lib: $(LIB_A) $(LIB_SO) $(B)/lib/libdaxfs.so $(B)/lib/libdaxfs.pc
chaos-programs: $(CHAOS_BIN)
examples: $(EXAMPLE_BIN)
tests: all older-programs bench-programs $(if $(SAN),,examples) $(UNIT_BIN) $(CHAOS_BIN) $(PROGRAMS_BIN)
# The unit tests, and the programs that they start: not half of what there is to compile.
unit-tests: $(filter-out %/daxfs-sim,$(BINS)) $(UNIT_BIN)

help:
	@echo 'make                libraries and programs, in $$(B)/lib and $$(B)/bin'
	@echo 'make demo           the whole pod on this machine: three hosts, one is killed (DEMO_TREE=/usr/include)'
	@echo 'make check          every test; ends with "N passed, N failed"'
	@echo 'make check-long     what takes hours: seeds, worlds, mutants, fuzzing, kills (BUDGET=120, in minutes)'
	@echo 'make check-vm       three QEMU guests lose power, panic, freeze, reboot (VM="kill,panic" for some)'
	@echo 'make examples       small programs that use the library, in $$(B)/examples'
	@echo 'make tests          build the test programs without running them'
	@echo 'make unit-tests     those of tests/unit alone'
	@echo 'make fuzz           the fuzzing programs; tests/fuzz/run uses them'
	@echo 'make bench          figures beside tmpfs and the memcpy limit (BENCH="name ..." for some); in $$(B)/bench'
	@echo 'make bench-cache    those of the cache in front of storage'
	@echo 'make lint           rules of the house (scripts/lint), and what standard tools find (scripts/lint-tools)'
	@echo 'make compile_commands.json   for editors and clang tools'
	@echo 'make deps           install missing Debian packages (demo and check do it themselves)'
	@echo 'make deps-programs  databases and other programs for tests/programs (check-long does it itself)'
	@echo 'make install        DESTDIR= PREFIX=/usr/local MOUNTDIR=/sbin'
	@echo 'make uninstall      the same DESTDIR= PREFIX= MOUNTDIR='
	@echo 'make deb            Debian packages, in $$(B)/deb'
	@echo 'make clean          remove every build directory'
	@echo 'Variables: CC=gcc|clang  B=build  CFLAGS="-O2 -g"  SAN=address|thread|undefined (own B)  V=1'

DEPS_BUILD := build-essential pkg-config libdaxctl-dev libsystemd-dev libprotobuf-c-dev protobuf-c-compiler \
	libev-dev libfuse3-dev libjson-c-dev fuse3 jq
DEPS_CHECK := clang lld libcmocka-dev fence-agents stunnel4 openssl iproute2 procps python3-jsonschema spin tcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user \
	sqlite3 python3-lmdb python3-plyvel python3-numpy git rsync
# What the rows of tests/programs/programs need, and its neighbours; no service of theirs is started.
DEPS_PROGRAMS := git fio sqlite3 python3-lmdb python3-plyvel python3-numpy rocksdb-tools postgresql redis-server e2fsprogs \
	libcap2-bin nfs-ganesha-vfs libnfs-utils rpcbind
DEPS_LINT := shellcheck mandoc groff-base codespell cppcheck clang-tidy clang-format
DEPS_DEB := debhelper dpkg-dev lintian debootstrap
DEPS_VM := qemu-system-x86 qemu-utils mmdebstrap e2fsprogs lz4 openssl
DEPS_BENCH := fio gnuplot-nox bsdextrautils

deps:
	@scripts/deps $(B)/.deps $(DEPS_BUILD)
deps-check:
	@scripts/deps $(B)/.deps-check $(DEPS_BUILD) $(DEPS_CHECK) $(DEPS_LINT)
deps-lint:
	@scripts/deps $(B)/.deps-lint $(DEPS_BUILD) $(DEPS_LINT)
deps-programs:
	@scripts/deps $(B)/.deps-programs $(DEPS_BUILD) $(DEPS_PROGRAMS)

# Own invocations, so that what deps installs is there before anything is read.
demo: deps
	@$(MAKE) --no-print-directory -j2 all chaos-programs
	@B='$(B)' DEMO_TREE='$(or $(DEMO_TREE),/usr/include)' scripts/demo

# By another name: a recipe with $(MAKE) in it is run by make -n, too.
make_itself := $(MAKE)

check: deps-check
	@B='$(B)' CC='$(CC)' MAKE='$(make_itself)' scripts/check

check-long: deps-check
	@B='$(B)' CC='$(CC)' MAKE='$(make_itself)' BUDGET='$(or $(BUDGET),120)' scripts/check-long

# Not part of the others: it takes QEMU, mmdebstrap, a package archive and ten minutes (docs/TESTING.md). What it builds is kept.
check-vm:
	@scripts/deps $(B)/.deps-vm $(DEPS_BUILD) $(DEPS_DEB) $(DEPS_VM)
	@scripts/deb $(B)/deb --kept
	@tests/vm/run $(B) $(if $(VM),--only $(VM)) || [ $$? = 77 ]

bench:
	@scripts/deps $(B)/.deps-bench $(DEPS_BUILD) $(DEPS_BENCH)
	@$(MAKE) --no-print-directory -j2 all chaos-programs bench-programs
	@B='$(B)' bench/run $(BENCH)

bench-cache:
	@$(MAKE) --no-print-directory bench BENCH=cache

deb:
	@scripts/deps $(B)/.deps-deb $(DEPS_BUILD) $(DEPS_DEB)
	@scripts/deb $(B)/deb

lint: deps-lint compile_commands.json $(PROTO_HDR)
	@scripts/lint
	@scripts/lint-tools

# For editors and clang-tidy: what would be run to compile everything.
compile_commands.json: FORCE
	@$(MAKE) --no-print-directory -Bn V=1 B=$(B) tests 2>/dev/null | awk -v dir='$(CURDIR)' ' \
		/ -c / && $$(NF - 1) == "-o" { \
			gsub(/[\\"]/, "\\\\&"); \
			printf "%s{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}", n++ ? ",\n" : "[\n", dir, $$(NF - 2), $$0 \
		} \
		END { print n ? "\n]" : "[]" }' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

clean:
	rm -rf build build-*

# All but the shared bytes, which are nobody's to touch.
PUBLIC := $(filter-out format%.h,$(notdir $(wildcard include/daxfs/*.h)))
MAN8 := $(notdir $(wildcard deploy/man/*.8))
MAN7 := $(notdir $(wildcard deploy/man/*.7))
# Under both names of the mount helper.
MAN8_LINK := mount.fuse.daxfs.8
MAN5 := $(notdir $(wildcard deploy/man/*.5))
MAN3 = $(shell scripts/man3 - --names)
UNITS := $(notdir $(patsubst %.in,%,$(wildcard deploy/*.service.in deploy/*.timer.in)))
CONFS := $(wildcard deploy/*.conf)
SCHEMAS := $(wildcard deploy/schemas/*.json)
# Fence agents are found by their names, like those of other packages.
FENCE := $(wildcard deploy/fence_*)
# Documents lie as they do here, for they link to each other; format.h and its parts are among them.
DOCS := README.md ARCHITECTURE.md SECURITY.md $(wildcard docs/*.md docs/bench/*.md docs/bench/*.svg docs/dashboard/*.svg include/daxfs/format*.h)
# The second one is for a remount: the kernel's table has this type.
MOUNT_HELPERS := $(addprefix $(MOUNTDIR)/,mount.daxfs mount.fuse.daxfs)
INSTALLED = $(MOUNT_HELPERS) $(addprefix $(SBINDIR)/,$(notdir $(filter-out %/daxfs-sim,$(BINS)) $(FENCE))) \
	$(addprefix $(LIBDIR)/,libdaxfs.a libdaxfs.so libdaxfs.so.1 pkgconfig/libdaxfs.pc) \
	$(addprefix $(INCDIR)/daxfs/,$(PUBLIC)) \
	$(addprefix $(MANDIR)/man8/,$(MAN8) $(MAN8_LINK)) $(addprefix $(MANDIR)/man7/,$(MAN7)) $(addprefix $(MANDIR)/man5/,$(MAN5)) $(addprefix $(MANDIR)/man3/,$(MAN3)) \
	$(addprefix $(UNITDIR)/,$(UNITS)) $(UDEVDIR)/60-daxfs.rules $(BASHDIR)/daxfsctl \
	$(addprefix $(SCHEMADIR)/,$(notdir $(SCHEMAS))) \
	$(addprefix $(DOCDIR)/,$(DOCS) $(addprefix examples/,alerts.yml dashboard.json $(notdir $(CONFS) $(wildcard examples/*.[ch]))))

install: all
	install -d $(addprefix $(DESTDIR),$(sort $(dir $(INSTALLED))))
	install -m 755 $(filter-out %/daxfs-sim,$(BINS)) $(FENCE) $(DESTDIR)$(SBINDIR)
	for helper in $(MOUNT_HELPERS); do ln -sf $(SBINDIR)/daxfs-node-agent $(DESTDIR)$$helper || exit 1; done
	install -m 644 $(LIB_A) $(DESTDIR)$(LIBDIR)
	install -m 755 $(LIB_SO) $(DESTDIR)$(LIBDIR)
	ln -sf libdaxfs.so.1 $(DESTDIR)$(LIBDIR)/libdaxfs.so
	install -m 644 $(B)/lib/libdaxfs.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(PUBLIC:%=include/daxfs/%) $(DESTDIR)$(INCDIR)/daxfs
	install -m 644 $(MAN8:%=deploy/man/%) $(DESTDIR)$(MANDIR)/man8
	install -m 644 $(MAN7:%=deploy/man/%) $(DESTDIR)$(MANDIR)/man7
	ln -sf mount.daxfs.8 $(DESTDIR)$(MANDIR)/man8/$(MAN8_LINK)
	install -m 644 $(MAN5:%=deploy/man/%) $(DESTDIR)$(MANDIR)/man5
	scripts/man3 $(DESTDIR)$(MANDIR)/man3
	for unit in $(UNITS); do \
		sed 's|@SBINDIR@|$(SBINDIR)|' deploy/$$unit.in >$(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	sed 's|@SBINDIR@|$(SBINDIR)|' deploy/60-daxfs.rules.in >$(DESTDIR)$(UDEVDIR)/60-daxfs.rules
	install -m 644 deploy/daxfsctl.bash-completion $(DESTDIR)$(BASHDIR)/daxfsctl
	install -m 644 $(SCHEMAS) $(DESTDIR)$(SCHEMADIR)
	for doc in $(DOCS); do install -m 644 $$doc $(DESTDIR)$(DOCDIR)/$$doc || exit 1; done
	install -m 644 $(CONFS) deploy/prometheus/alerts.yml deploy/prometheus/dashboard.json examples/*.[ch] $(DESTDIR)$(DOCDIR)/examples

uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(SCHEMADIR) $(dir $(DESTDIR)$(SCHEMADIR)) $(DESTDIR)$(INCDIR)/daxfs $(addprefix $(DESTDIR)$(DOCDIR)/,examples docs/bench docs/dashboard docs include/daxfs include) $(DESTDIR)$(DOCDIR)

# -- rules ------------------------------------------------------------------

ifndef V
Q := @
say = @printf '  %-5s %s\n' '$(1)' '$(2)';
endif

# A stamp that changes when the compiler or its flags change.
$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(STD) $(WARN)' $(CPPFLAGS) '$(CFLAGS) $(SANFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	 echo '$(CC) $(STD) $(WARN)' $(CPPFLAGS) '$(CFLAGS) $(SANFLAGS) $(LDFLAGS)' >$@
FORCE:

# Where clang sanitizes, what the fuzzing programs are made of is compiled once for them and for the unit tests: with
# marks of what was reached. Inputs that damage pools are made item by item: comparisons teach nothing there, and cost half the speed.
FUZZ_SHARED := $(and $(findstring clang,$(CC)),$(filter address$(comma)undefined,$(SAN)))
REACHED := $(if $(FUZZ_SHARED),-fsanitize=fuzzer-no-link)
$(B)/obj/libdaxfs/%.o: private CFLAGS += $(if $(SAN),-O1) $(if $(FUZZ_SHARED),$(REACHED) -fno-sanitize-coverage=trace-cmp)
$(addprefix $(B)/obj/,$(addsuffix /%.o,common fabricd daxfsctl proto)): private CFLAGS += $(REACHED)
$(addprefix $(B)/obj/node-agent/,config.o mount_options.o) $(B)/gen/%.pb-c.o: private CFLAGS += $(REACHED)
# Unit tests are run once for each time that they are compiled, and what takes long in them is the library: to
# optimize them takes five times what it saves. Of the simulator, which computes, places of the code are enough.
$(B)/obj/tests/unit/%.o: private CFLAGS += -O0 -g1
# What the language leaves undefined is looked for in the product: in tests that is a quarter of their compilation.
$(B)/obj/tests/unit/%.o: private SANFLAGS += $(if $(findstring undefined,$(SAN)),-fno-sanitize=undefined)
$(B)/obj-sim/%.o: private CFLAGS += -g1

$(B)/obj/libdaxfs/%.o: libdaxfs/%.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(INC_LIB) $< -o $@

$(B)/obj-sim/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,SIM,$<)$(COMPILE) -DDAXFS_SIM $(INC_LIB) -I. -Itests -Itests/sim $< -o $@

$(B)/obj/tests/%.o: tests/%.c $(B)/.flags | $(PROTO_HDR)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(INC_TEST) $(if $(or $(findstring test_agent,$<),$(findstring many_storage,$<)),$(FUSE_CFLAGS)) $< -o $@

$(B)/obj/node-agent/%.o: node-agent/%.c $(B)/.flags | $(PROTO_HDR)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(INC_PROG) $(FUSE_CFLAGS) $< -o $@

$(B)/obj/%.o: %.c $(B)/.flags | $(PROTO_HDR)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(INC_PROG) $< -o $@

# Generated code is not held to the warning set.
$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h: %.proto
	@mkdir -p $(B)/gen
	$(call say,PROTO,$<)protoc-c --c_out=$(B)/gen $<
$(B)/gen/%.pb-c.o: $(B)/gen/%.pb-c.c $(B)/.flags
	$(call say,CC,$<)$(CC) -std=gnu11 -fPIC -fvisibility=hidden -w $(CFLAGS) $(SANFLAGS) -I$(B)/gen -MMD -MP -c $< -o $@

# What is made of a list of objects is remade when the list changes:
# $(call list_of,file,objects) and $(call archive,file,objects).
define list_of
$(1).list: FORCE
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' >$$@
endef
define archive
$(call list_of,$(1),$(2))
$(1): $(2) $(1).list
	@mkdir -p $$(@D)
	$$(call say,AR,$(1))rm -f $$@ && $$(AR) rcs $$@ $(2)
endef
$(eval $(call archive,$(LIB_A),$(LIB_OBJ)))
$(eval $(call archive,$(PROTO_A),$(PROTO_OBJ)))
$(eval $(call archive,$(COMMON_A),$(COMMON_OBJ)))
$(eval $(call archive,$(FABRICD_A),$(filter-out %/main.o,$(FABRICD_OBJ))))
$(eval $(call archive,$(AGENT_A),$(filter-out %/main.o,$(AGENT_OBJ))))
$(eval $(call archive,$(CTL_A),$(filter-out %/main.o,$(CTL_OBJ))))
$(eval $(call archive,$(TEST_A),$(call obj,$(UNIT_HELP))))
$(eval $(call archive,$(CHAOS_A),$(call obj,$(CHAOS_HELP))))

$(LIB_SO): $(LIB_OBJ) $(LIB_A).list libdaxfs/libdaxfs.map
	$(call say,LD,$@)$(LINK) -shared -Wl,-soname,libdaxfs.so.1 -Wl,--version-script=libdaxfs/libdaxfs.map \
		$(if $(SAN),,-Wl,-z,defs) $(LIB_OBJ) -o $@ $(LIBS)
$(B)/lib/libdaxfs.so: $(LIB_SO)
	@ln -sf libdaxfs.so.1 $@
# Always: PREFIX may differ from the last time.
$(B)/lib/libdaxfs.pc: libdaxfs/libdaxfs.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|;s|@LIBDIR@|$(LIBDIR)|;s|@INCDIR@|$(INCDIR)|;s|@VERSION@|$(VERSION)|' $< >$@

# Programs carry the library: a host's daemons must not change under it.
$(B)/bin/fabricd: $(call main,$(FABRICD_OBJ)) $(FABRICD_A) $(PROTO_A) $(COMMON_A) $(LIB_A)
$(B)/bin/daxfs-node-agent: $(call main,$(AGENT_OBJ)) $(AGENT_A) $(PROTO_A) $(COMMON_A) $(LIB_A)
$(B)/bin/daxfsctl: $(call main,$(CTL_OBJ)) $(CTL_A) $(PROTO_A) $(COMMON_A) $(LIB_A)
$(B)/bin/fabricd $(B)/bin/daxfs-node-agent $(B)/bin/daxfsctl:
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ $(LIBS_PROG)
# As a version was before the feature `cache`, for tests/chaos/upgrade: only what judges features differs.
OLDER := $(addprefix $(B)/older/,fabricd daxfs-node-agent daxfsctl)
OLDER_OBJ := $(B)/older/super.o
older-programs: $(OLDER)
$(OLDER_OBJ): libdaxfs/mem/super.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(INC_LIB) -DSUPER_INCOMPAT_KNOWN=0ull $< -o $@
$(B)/older/fabricd: $(call main,$(FABRICD_OBJ)) $(FABRICD_A) $(PROTO_A) $(COMMON_A) $(OLDER_OBJ) $(LIB_A)
$(B)/older/daxfs-node-agent: $(call main,$(AGENT_OBJ)) $(AGENT_A) $(PROTO_A) $(COMMON_A) $(OLDER_OBJ) $(LIB_A)
$(B)/older/daxfsctl: $(call main,$(CTL_OBJ)) $(CTL_A) $(PROTO_A) $(COMMON_A) $(OLDER_OBJ) $(LIB_A)
$(OLDER):
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ $(LIBS_PROG)
# The simulator takes the place of what its sources define as __wrap_NAME.
SIM_WRAP = $(shell grep -oh '__wrap_[a-z_]*' $(SIM_SRC) | sed 's/__wrap_/-Wl,--wrap=/' | sort -u)
$(B)/bin/daxfs-sim: $(SIM_OBJ) $(B)/lib/daxfs-sim.list
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $(SIM_WRAP) $(SIM_OBJ) -o $@ $(LIBS)
$(eval $(call list_of,$(B)/lib/daxfs-sim,$(SIM_OBJ)))

# Tests of a program's own sources are linked with those, without its main().
$(filter $(B)/tests/test_fabricd%,$(UNIT_BIN)): $(FABRICD_A)
$(filter $(B)/tests/test_agent%,$(UNIT_BIN)): $(AGENT_A)
$(filter $(B)/tests/test_ctl%,$(UNIT_BIN)): $(CTL_A)
LINK_TEST = $(LINK) $(LD_TEST) $(filter %.o,$^) $(filter-out $(LIB_A) $(PROTO_A) $(COMMON_A) $(TEST_A) $(CHAOS_A),$(filter %.a,$^)) \
	$(filter $(TEST_A) $(CHAOS_A),$^) $(PROTO_A) $(COMMON_A) $(LIB_A) -o $@

# So does a unit test.
UNIT_WRAP = $(shell grep -oh '__wrap_[a-z0-9_]*' tests/unit/$*.c | sed 's/__wrap_/-Wl,--wrap=/' | sort -u)
$(UNIT_BIN): $(B)/tests/%: $(B)/obj/tests/unit/%.o $(TEST_A) $(PROTO_A) $(COMMON_A) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK_TEST) $(UNIT_WRAP) -lcmocka $(LIBS_PROG)
$(CHAOS_BIN): $(B)/tests/%: $(B)/obj/tests/chaos/%.o $(CHAOS_A) $(PROTO_A) $(COMMON_A) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK_TEST) $(LIBS_PROG)
$(PROGRAMS_BIN): $(B)/tests/%: $(B)/obj/tests/programs/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $^ -o $@ $(if $(findstring many_storage,$@),$(shell pkg-config --libs fuse3))

# As a stranger would build them: the public headers and the shared library, nothing else.
$(EXAMPLE_BIN): $(B)/examples/%: examples/%.c examples/example.h $(B)/lib/libdaxfs.so $(B)/.flags
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -std=gnu11 $(WARN) $(CFLAGS) -Iinclude $< -L$(B)/lib -ldaxfs -Wl,-rpath,$(abspath $(B)/lib) -o $@

# -- bench ----------------------------------------------------------------------

# libfuse's own example, unmodified, is what the mount is compared with.
PASSTHROUGH_SRC := $(wildcard /usr/share/doc/libfuse3-dev/examples/passthrough_ll.c)
bench-programs: $(B)/bench/daxfs-bench $(if $(PASSTHROUGH_SRC),$(B)/bench/passthrough_ll)
BENCH_WRAP = $(shell grep -oh '__wrap_[a-z_]*' $(BENCH_SRC) | sed 's/__wrap_/-Wl,--wrap=/' | sort -u)
$(B)/bench/daxfs-bench: $(call obj,$(BENCH_SRC)) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) $(BENCH_WRAP) $^ -o $@ $(LIBS) -lm
$(B)/bench/passthrough_ll: $(B)/.flags
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -w -O2 -pthread $(FUSE_CFLAGS) $(PASSTHROUGH_SRC) -o $@ $(shell pkg-config --libs fuse3)

# -- fuzzing --------------------------------------------------------------------

# tests/fuzz/fuzz_*.c are targets, each a program; the rest is what they share.
# Always clang: libFuzzer is its own. The library's clock and the like are those
# of tests/fuzz/sources.c, so that a run follows from its input alone.
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELP := $(filter-out $(FUZZ_SRC),$(sort $(wildcard tests/fuzz/*.c)))
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(B)/fuzz/%)
FUZZ_SAN := -fsanitize=fuzzer-no-link,address,undefined
FUZZ_COMPILE = clang $(STD) $(CPPFLAGS) -O2 -g1 $(FUZZ_SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -MMD -MP -c
FUZZ_SOURCES := -Dclock_gettime=fuzz_clock -Dgetrandom=fuzz_random -Dpthread_self=fuzz_self -Dsched_yield=fuzz_yield \
	-Dsched_getcpu=fuzz_cpu
$(B)/obj-fuzz/libdaxfs/%.o: FUZZ_SAN += -fno-sanitize-coverage=trace-cmp
fuzz_obj = $(patsubst %.c,$(B)/obj-fuzz/%.o,$(1))
FUZZ_A := $(B)/lib/fuzz.a

.PHONY: fuzz
fuzz: $(FUZZ_BIN)

$(B)/obj-fuzz/gen/%.o: $(B)/gen/%.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(FUZZ_COMPILE) -w -I$(B)/gen $< -o $@
$(B)/obj-fuzz/%.o: %.c $(B)/.flags | $(PROTO_HDR)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(FUZZ_COMPILE) $(WARN) $(FUZZ_SOURCES) $(INC_TEST) -Itests/fuzz $< -o $@
FUZZ_PRODUCT := $(SIM_LIB_SRC) $(PROTO_SRC) $(COMMON_SRC) node-agent/config.c node-agent/mount_options.c $(filter-out %/main.c,$(FABRICD_SRC) $(CTL_SRC))
ifeq ($(FUZZ_SHARED),)
FUZZ_PRODUCT_A := $(B)/lib/fuzz-product.a
$(eval $(call archive,$(FUZZ_PRODUCT_A),$(call fuzz_obj,$(FUZZ_PRODUCT)) $(PROTO_GEN:$(B)/%.c=$(B)/obj-fuzz/%.o)))
else
# Objects of the sanitized build, in which the calls are renamed afterwards.
FUZZ_PRODUCT_A := $(B)/lib/fuzz-renamed.a
$(eval $(call archive,$(B)/lib/fuzz-product.a,$(call obj,$(FUZZ_PRODUCT)) $(PROTO_GEN:.c=.o)))
$(FUZZ_PRODUCT_A): $(B)/lib/fuzz-product.a
	$(call say,AR,$@)objcopy $(patsubst -D%,--redefine-sym %,$(FUZZ_SOURCES)) $< $@
endif
$(eval $(call archive,$(FUZZ_A),$(call fuzz_obj,$(FUZZ_HELP))))
$(FUZZ_BIN): $(B)/fuzz/%: $(B)/obj-fuzz/tests/fuzz/fuzz_%.o $(FUZZ_A) $(FUZZ_PRODUCT_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)clang -pthread -fsanitize=fuzzer,address,undefined $(LD_TEST) -Wl,--start-group $^ -Wl,--end-group -o $@ \
		-lev -lsystemd -lprotobuf-c -ljson-c $(LIBS)

-include $(shell find $(B) -name '*.d' -type f -not -path '$(B)/deb/*' -not -path '$(B)/vm/*' 2>/dev/null)
