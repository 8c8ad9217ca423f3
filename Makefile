# amp-cors-cgi, with GNU make.  This is for those who have the tools: ./check
# and ./demo install them first.
#
#	make			./amp-cors-cgi and ./amp-cors
#	make check		every test; each part of it alone: lint unit sanitize
#				valgrind fuzz-replay torture install-test
#				demo-test http
#	make torture POINTS=400	the tests with memory refused, so many times
#				each, or for each allocation where there are
#				fewer; 0: always for each
#	make fuzz T=60		each fuzz target, for so many seconds
#	make bench		the front beside its relatives, in numbers
#	make soak T=1800	faults under load, for so many seconds
#	make install		PREFIX=/usr/local DESTDIR= BINDIR= MANDIR= DOCDIR=
#				COMPDIR= (of bash's completions)
#	make uninstall clean
#
# CC, CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS are the user's; WERROR=-Werror makes
# warnings errors.  VARIANT=gcc, clang, asan, tsan or fuzz builds everything
# again, in build/VARIANT.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/amp-cors-cgi
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
# The program has this path built in; PREFIX does not move it.
POLICY = /etc/amp-cors/amp-cors.ini

CFLAGS ?= -O2 -g
GCC ?= gcc
CLANG ?= clang
PYTHON = /usr/bin/python3
T = 60
POINTS = 400

WARNINGS = -Wall -Wextra -pedantic -Wshadow -Wconversion \
	-Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wwrite-strings -Wvla -Wformat=2
OPTIMISED = $(filter-out -O0,$(filter -O%,$(CFLAGS)))
HARDENING = $(if $(OPTIMISED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) \
	-fstack-protector-strong -fstack-clash-protection \
	$(if $(filter x86_64-%,$(MACHINE)),-fcf-protection)
HARDENING_LD = -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
SANITIZED = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all

VARIANT =
ifeq ($(VARIANT),)
COMPILER = $(CC)
VFLAGS = $(WERROR)
else ifeq ($(VARIANT),gcc)
COMPILER = $(GCC)
VFLAGS = -Werror
else ifeq ($(VARIANT),clang)
COMPILER = $(CLANG)
VFLAGS = -Werror
else ifeq ($(VARIANT),asan)
COMPILER = $(CLANG)
VFLAGS = -Werror $(SANITIZED) -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
COMPILER = $(CLANG)
VFLAGS = -Werror $(SANITIZED) -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
COMPILER = $(CLANG)
VFLAGS = -Werror $(SANITIZED) -fsanitize=fuzzer-no-link,address,undefined
else
$(error VARIANT is gcc, clang, asan, tsan, fuzz or nothing)
endif
# The tests put functions in the place of libc's, and _FORTIFY_SOURCE calls
# others.
ifneq ($(VARIANT),)
HARDENING =
endif

BUILD = build$(addprefix /,$(VARIANT))
PROGRAM = $(if $(VARIANT),$(BUILD)/)amp-cors-cgi
TOOL = $(if $(VARIANT),$(BUILD)/)amp-cors
ARCHIVE = $(BUILD)/libamp.a
# what the tool has besides
TOOL_ARCHIVE = $(BUILD)/libtool.a

# Each shared library costs a CGI program time at every request, so these are
# linked statically where the system has them so.
MACHINE := $(shell $(COMPILER) -dumpmachine)
archive = $(filter /%,$(shell $(COMPILER) -print-file-name=lib$1.a))
library = $(or $(call archive,$1),-l$1)
LIBRARIES := $(call library,cdb)
# What libfcgi reads comes from lib/serve_head.c, which takes the place of a
# function inside it: that a shared library would not allow.
FCGI_ARCHIVE := $(or $(call archive,fcgi),$(error libfcgi.a is missing (in \
	Debian it comes with libfcgi-dev)))
# And so does its memory: it would end the process where that is refused.
OUR_FCGI = $(BUILD)/libfcgi.a
FCGI = -Wl,--wrap=OS_Read,--wrap=gethostbyname $(OUR_FCGI)
# iniparser's dictionaries begin in lib/conf_dictionary.c, likewise.
INI_ARCHIVE := $(call archive,iniparser)
INI = -Wl,--wrap=dictionary_new,-u,__wrap_dictionary_new $(or $(INI_ARCHIVE),$(error libiniparser.a is \
	missing (in Debian it comes with libiniparser-dev)))
# And so is libc, in the front alone: to find and to load it takes longer than
# all that the front does.  STATIC= leaves it shared; so do the sanitizers.
STATIC = $(if $(and $(if $(VARIANT),,y),$(call archive,c),$(call \
	archive,cdb),$(RCRT1)),-static-pie)
RCRT1 := $(filter /%,$(shell $(COMPILER) -print-file-name=rcrt1.o))
TOOL_LIBS = -lcurl -lpsl -lidn2

COMPILE = $(COMPILER) -std=c11 -D_GNU_SOURCE -Ilib -Itool -Itests/unit \
	-Itests/fuzz -fPIE -pthread $(WARNINGS) $(HARDENING) $(CPPFLAGS) $(CFLAGS) $(VFLAGS)
LINK = $(COMPILER) -pie -pthread $(HARDENING_LD) $(CFLAGS) $(VFLAGS) $(LDFLAGS)
LIBS = $(FCGI) $(INI) $(LIBRARIES) $(LDLIBS)

objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $1))
named = $(patsubst $1%.c,$(BUILD)/$2/%,$(wildcard $1*.c))
LIB_OBJECTS := $(call objects,lib/*.c)
TOOL_OBJECTS := $(call objects,tool/*.c)
TESTS := $(call named,tests/unit/test_,unit)
# one of them is a library, for LD_PRELOAD
FAILING = $(BUILD)/helpers/failing.so
HELPERS := $(filter-out %/failing,$(call named,tests/helpers/,helpers)) \
	$(FAILING) $(BUILD)/helpers/front
REPLAYS := $(call named,tests/fuzz/fuzz_,replay)
FUZZERS := $(call named,tests/fuzz/fuzz_,fuzz)
# the tests again, and both programs, with memory that can be refused
REFUSE = $(BUILD)/tests/torture/refuse.o
# but for users: its test asks libc for them too, and libc's own reading of
# nsswitch.conf dies where memory is refused
TORTURED := $(patsubst $(BUILD)/unit/%,$(BUILD)/torture/%,$(filter-out \
	$(BUILD)/unit/users,$(TESTS)))
TORTURED_PROGRAMS = $(BUILD)/torture/amp-cors-cgi $(BUILD)/torture/amp-cors
# those whose test or module has threads
THREADED := $(sort $(filter $(TESTS),$(patsubst lib/%.c,$(BUILD)/unit/%,\
	$(patsubst tests/unit/test_%.c,lib/%.c,$(shell grep -lsE \
	'pthread\.h|stdatomic\.h|threads\.h' tests/unit/test_*.c lib/*.c)))))
OBJECTS := $(LIB_OBJECTS) $(TOOL_OBJECTS) $(call objects,amp-cors-cgi.c \
	amp-cors.c tests/unit/*.c tests/helpers/*.c tests/fuzz/*.c \
	tests/torture/*.c)

all: $(PROGRAM) $(TOOL)

# everything that VARIANT can compile
everything: $(PROGRAM) $(TOOL) $(TESTS) $(HELPERS) $(REPLAYS) $(REFUSE)

$(PROGRAM): $(BUILD)/amp-cors-cgi.o $(ARCHIVE)
	$(LINK) $(STATIC) -o $@ $^ $(LIBS)

# the same, for tests that put a library of their own before libc
$(BUILD)/helpers/front: $(BUILD)/amp-cors-cgi.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(TOOL): $(BUILD)/amp-cors.o $(TOOL_ARCHIVE) $(ARCHIVE)
	$(LINK) -o $@ $^ $(TOOL_LIBS) $(LIBS)

$(OUR_FCGI): $(FCGI_ARCHIVE) $(BUILD)/flags
	objcopy --redefine-sym malloc=serve_head_malloc \
	    --redefine-sym realloc=serve_head_realloc \
	    --redefine-sym free=serve_head_drop $< $@

$(ARCHIVE): $(LIB_OBJECTS) | $(OUR_FCGI)
	rm -f $@
	ar rcs $@ $^

$(TOOL_ARCHIVE): $(TOOL_OBJECTS)
	rm -f $@
	ar rcs $@ $^

# the tests of what the tool has
TOOL_TESTS := $(filter $(TESTS),$(call named,tool/,unit))
$(TOOL_TESTS): $(BUILD)/unit/%: $(BUILD)/tests/unit/test_%.o $(TOOL_ARCHIVE) \
    $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(TOOL_LIBS) $(LIBS)

$(BUILD)/unit/%: $(BUILD)/tests/unit/test_%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(patsubst $(BUILD)/unit/%,$(BUILD)/torture/%,$(TOOL_TESTS)): \
    $(BUILD)/torture/%: $(BUILD)/tests/unit/test_%.o $(REFUSE) $(TOOL_ARCHIVE) \
    $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(TOOL_LIBS) $(LIBS)

$(BUILD)/torture/amp-cors: $(BUILD)/amp-cors.o $(REFUSE) $(TOOL_ARCHIVE) \
    $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(TOOL_LIBS) $(LIBS)

$(BUILD)/torture/amp-cors-cgi: $(BUILD)/amp-cors-cgi.o $(REFUSE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/torture/%: $(BUILD)/tests/unit/test_%.o $(REFUSE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/helpers/%: $(BUILD)/tests/helpers/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

# in a program that the sanitizers watch, too, it is not one of their own
$(FAILING): tests/helpers/failing.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILER) -std=c11 -D_GNU_SOURCE -fPIC -shared -pthread -O2 -g \
	    $(WARNINGS) $(CPPFLAGS) $(filter -Werror,$(VFLAGS)) -o $@ $<

$(BUILD)/replay/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/main.o \
    $(TOOL_ARCHIVE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(TOOL_ARCHIVE) $(ARCHIVE)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(OBJECTS): $(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# what the objects were compiled with: another compiler or other flags make
# them old
FLAGS = $(filter-out -Werror,$(COMPILE) / $(LINK))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || \
	    echo '$(subst ','\'',$(FLAGS))' >$@

-include $(OBJECTS:.o=.d)

# --- tests -----------------------------------------------------------------
# tests/run runs one program, and prints a line where it passes.

# a user who is not root may have no web servers on the path
export PATH := $(PATH):/usr/sbin
export TEST_DATA = tests/data
export TEST_HELPERS = $(CURDIR)/$(BUILD)/helpers
export FRONT = $(abspath $(PROGRAM))
export AMP_CORS = $(abspath $(TOOL))
runs = @failed=0; for t in $1; do \
	    tests/run $2 $$(basename $$t) $3 $$t || failed=1; \
	done; exit $$failed

check:
	+@MAKE='$(MAKE)' tests/all

ifeq ($(VARIANT),)
unit:
	$(MAKE) VARIANT=gcc unit
else
unit: $(TESTS) $(HELPERS)
	$(call runs,$(TESTS),unit-$(VARIANT))
endif

threaded: $(THREADED) $(HELPERS)
	$(call runs,$(THREADED),unit-$(VARIANT))

memcheck: $(TESTS) $(HELPERS)
	$(call runs,$(TESTS),valgrind,valgrind -q --error-exitcode=99 \
	    --leak-check=full --errors-for-leak-kinds=definite$(,)possible \
	    --child-silent-after-fork=yes)
, = ,

replay: $(REPLAYS)
	@failed=0; for t in $(REPLAYS); do \
	    name=$${t##*/}; inputs=; \
	    for d in tests/fuzz/$$name.in tests/fuzz/$$name.repro; do \
		[ ! -d $$d ] || inputs="$$inputs $$d"; \
	    done; \
	    tests/run fuzz-replay $$name $$t $$inputs || failed=1; \
	done; exit $$failed

lint: all
	@failed=0; \
	tests/run lint lint $(PYTHON) tests/lint || failed=1; \
	tests/run lint lint-itself $(PYTHON) tests/lint --self-test || \
	    failed=1; exit $$failed

sanitize:
	@failed=0; \
	for step in 'gcc everything' 'clang everything unit' 'asan unit' \
	    'tsan threaded'; do \
	    set -- $$step; v=$$1; shift; \
	    $(MAKE) VARIANT=$$v $$* || failed=1; \
	done; exit $$failed

# TORTURE_POINTS is read by tests/torture/torture.py.
ifeq ($(VARIANT),)
torture:
	$(MAKE) VARIANT=asan torture
else
torture: export TORTURE_POINTS = $(POINTS)
torture: export TEST_TIMEOUT = 7200
torture: export FRONT = $(abspath $(BUILD)/torture/amp-cors-cgi)
torture: export AMP_CORS = $(abspath $(BUILD)/torture/amp-cors)
torture: torture-unit torture-programs

torture-unit: $(TORTURED) $(HELPERS)
	$(call runs,$(TORTURED),torture,tests/torture/run)

torture-programs: $(TORTURED_PROGRAMS) $(HELPERS)
	$(call runs,$(wildcard tests/torture/test_*.py),torture,$(PYTHON) \
	    tests/pytest-tap)
endif

valgrind:
	$(MAKE) VARIANT=gcc memcheck

fuzz-replay:
	$(MAKE) VARIANT=asan replay

install-test: all
	@tests/run install install tests/install

demo-test: all
	@tests/run demo demo ./demo --once --tap

# VARIANT=asan runs the same tests with a program that the sanitizers watch.
http: export TEST_TIMEOUT = 900
http: $(PROGRAM) $(TOOL) $(HELPERS)
	$(call runs,$(wildcard tests/http/test_*.py),$(if \
	    $(VARIANT),$(VARIANT)-)http,$(PYTHON) tests/pytest-tap)

fuzz:
	@$(MAKE) VARIANT=fuzz fuzz-run

# New inputs go to build/fuzz/NAME.corpus, findings to tests/fuzz/NAME.repro.
# The front's threads come and go, and the leak checker of clang 14 loses some
# ("not found in registry"): what they hold would be leaks.
fuzz-run: $(FUZZERS)
	@failed=0; for t in $(FUZZERS); do \
	    n=$${t##*/}; src=tests/fuzz/$$n; with=; \
	    [ ! -f $$src.dict ] || with=-dict=$$src.dict; \
	    [ $$n != front ] || with="$$with -detect_leaks=0"; \
	    mkdir -p $$t.corpus $$src.repro; \
	    echo "== $$n, $(T) seconds"; \
	    $$t -max_total_time=$(T) -print_final_stats=1 -verbosity=0 $$with \
		-artifact_prefix=$$src.repro/ $$t.corpus $$src.in || failed=1; \
	    rmdir $$src.repro 2>/dev/null || :; \
	done; exit $$failed

bench: all
	tests/bench/run

# what tests/http/test_faults_load.py does for a short time
soak: $(PROGRAM) $(TOOL) $(HELPERS)
	$(PYTHON) tests/http/storm.py $(T)

# --- installation ----------------------------------------------------------

# The manuals and samples say /usr/bin/amp-cors-cgi; they are installed with
# the path that the program has then.
put = sed 's,/usr/bin/amp-cors,$(BINDIR)/amp-cors,g' $1 >$2 && \
	chmod $3 $2
MANUALS = $(wildcard man/*.8 man/*.5 man/*.1)
COMPLETION = etc/bash-completion/amp-cors
SAMPLES = $(filter-out $(COMPLETION),$(wildcard README.md SECURITY.md INSTALL \
	NEWS LICENSE etc/*.* etc/Caddyfile etc/*/*))

install: $(PROGRAM) $(TOOL)
	install -d $(DESTDIR)$(BINDIR)
	install -m 755 $(PROGRAM) $(DESTDIR)$(BINDIR)/amp-cors-cgi
	install -m 755 $(TOOL) $(DESTDIR)$(BINDIR)/amp-cors
	@for f in $(MANUALS); do \
	    d=$(DESTDIR)$(MANDIR)/man$${f##*.}; \
	    echo "$$f -> $$d"; install -d $$d; \
	    $(call put,$$f,$$d/$${f##*/},644) || exit 1; \
	done
	@for f in $(SAMPLES); do \
	    d=$(DESTDIR)$(DOCDIR)/$$(dirname $${f#etc/}); mode=644; \
	    [ ! -x $$f ] || mode=755; \
	    echo "$$f -> $$d"; install -d $$d; \
	    $(call put,$$f,$$d/$${f##*/},$$mode) || exit 1; \
	done
	install -d $(DESTDIR)$(COMPDIR)
	install -m 644 $(COMPLETION) $(DESTDIR)$(COMPDIR)/amp-cors
	ln -sf amp-cors $(DESTDIR)$(COMPDIR)/amp-cors-cgi
	install -d $(DESTDIR)$(dir $(POLICY))
	@if [ -e $(DESTDIR)$(POLICY) ]; then \
	    echo "$(DESTDIR)$(POLICY) is there, and stays as it is"; \
	else \
	    install -m 644 etc/amp-cors.ini $(DESTDIR)$(POLICY); \
	fi

# The policy stays.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/amp-cors-cgi $(DESTDIR)$(BINDIR)/amp-cors
	rm -f $(foreach m,$(MANUALS),\
	    $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m))
	rm -f $(DESTDIR)$(COMPDIR)/amp-cors-cgi $(DESTDIR)$(COMPDIR)/amp-cors
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	rm -rf build amp-cors-cgi amp-cors

FORCE:

.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all everything check unit threaded memcheck replay lint sanitize \
	valgrind fuzz-replay torture install-test demo-test http fuzz fuzz-run bench \
	soak torture-unit torture-programs install uninstall clean FORCE
