CC ?= gcc
CFLAGS ?= -O2 -g
B := build
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wcast-qual
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Ilibdaxfs
STD := -std=c11 -fPIC -fvisibility=hidden -pthread
LIB_SRC := $(sort $(wildcard libdaxfs/*.c libdaxfs/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
all: $(B)/lib/libdaxfs.a
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/lib/libdaxfs.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	rm -f $@; ar rcs $@ $^
-include $(LIB_OBJ:.o=.d)
