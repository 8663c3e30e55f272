# SPDX-License-Identifier: Apache-2.0
#
# lint.awk - the rules of the house, one pass over the C sources.
#
# Works on text, line by line, after taking comments and literals out; the
# layout that the rules ask for (function bodies open and close in column 0)
# is what makes that enough. Plain POSIX awk: no intervals, no extensions.
# Prints "path:line: rule: text" for each finding, then the figures; exits 1 if
# there was a finding. `scripts/lint --self-test` shows each rule failing.

BEGIN {
	FUNCTION_MAX = 70
	FILE_MAX = 620
	COLUMN_MAX = 120
	ORD_LINES = 8
	n = split("mem sync space index fs recover inspect", layers, " ")
	for (i = 1; i <= n; i++)
		rank[layers[i]] = i
	rank["api"] = n + 1
	# A signal has one handler in a process, and interrupts a thread.
	STATE_OK["libdaxfs/mem/guard.c"] = STATE_OK["libdaxfs/mem/guard.h"] = STATE_OK["libdaxfs/mem/rseq.h"] = 1
	ASSEMBLER["libdaxfs/mem/writeback.c"] = ASSEMBLER["libdaxfs/mem/rseq.h"] = ASSEMBLER["libdaxfs/mem/rseq.c"] = 1
	# Library files that keep process-private (DRAM) state with C11 atomics.
	n = split(ATOMICS_OK, list, " ")
	for (i = 1; i <= n; i++)
		atomics_ok[list[i]] = 1
}

FNR == 1 { open_file() }
{ line($0) }
END { close_file(); report(); exit findings > 0 }

function fail(rule, text)
{
	print shown ":" lines ": " rule ": " text
	findings++
}

function open_file(	parts, n)
{
	if (shown != "")
		close_file()
	shown = FILENAME
	sub(/^\.\//, "", shown)
	path = shown # below the number of a case of the self-test
	sub(/^[0-9]+\//, "", path)
	n = split(path, parts, "/")
	part = parts[1]
	layer = part != "libdaxfs" ? "" : n == 2 ? "api" : parts[2]
	product = part != "tests"
	seam = path == "libdaxfs/mem/shm.h" || path == "libdaxfs/mem/rseq.c" || path ~ /^tests\/sim\/machine\/seam/
	header = path ~ /\.h$/
	lines = 0
	in_comment = depth = in_body = ord_line = header_text = 0
	proto = previous = ""
	files++
}

function close_file()
{
	# The public headers are the manual, too: most of their lines are contracts.
	most = path ~ /^include\/daxfs\// ? 2 * FILE_MAX : FILE_MAX
	if (lines > most)
		fail("file-length", lines " lines, at most " most)
	if (lines > file_longest) {
		file_longest = lines
		file_longest_path = path
	}
	if (previous == "" && lines > 0)
		fail("space", "blank line at the end")
	if (header_text < 20)
		fail("header", "no comment that says what the file is")
}

# "name.c - what it is": of this file, whatever it was called once.
function own_name(text,	words)
{
	sub(/^(\/\*| \*) /, "", text)
	split(text, words, " ")
	if (words[1] != base_name(path))
		fail("header", "calls itself " words[1])
}

function base_name(s)
{
	sub(/.*\//, "", s)
	return s
}

# Take comments and literals out of a line; `comment` gets what was in comments.
function strip(s,	out, c, two, i)
{
	out = comment = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		two = substr(s, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			} else {
				comment = comment c
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//") {
			comment = comment substr(s, i + 2)
			break
		} else if (c == "\"" || c == "'") {
			i = literal_end(s, i, c)
			out = out c c
		} else {
			out = out c
		}
	}
	return out
}

function literal_end(s, i, quote)
{
	for (i++; i <= length(s) && substr(s, i, 1) != quote; i++)
		if (substr(s, i, 1) == "\\")
			i++
	return i
}

function line(text,	was_comment)
{
	lines++
	was_comment = in_comment
	code = strip(text)
	if (lines == 1 && text !~ /SPDX-License-Identifier: Apache-2\.0/)
		fail("spdx", "first line is not SPDX-License-Identifier: Apache-2.0")
	if (lines > 1 && lines < 12 && depth == 0)
		header_text += length(comment)
	if (lines < 4 && text ~ /^(\/\*| \*) [a-z0-9_]+\.[ch] - /)
		own_name(text)
	if (comment ~ /ORD/)
		ord_line = lines
	check_space(text, was_comment)
	check_include(text)
	check_seam()
	check_library()
	check_order()
	check_function()
	check_state()
	previous = text
}

function columns(text,	n, i)
{
	for (i = 1; i <= length(text); i++)
		n = substr(text, i, 1) == "\t" ? n + 8 - n % 8 : n + 1
	return n
}

function check_space(text, was_comment)
{
	if (text ~ /[ \t]$/)
		fail("space", "space at the end of the line")
	if (text ~ /\r/)
		fail("space", "carriage return")
	if (length(text) > COLUMN_MAX / 8 && columns(text) > COLUMN_MAX)
		fail("columns", columns(text) " columns, at most " COLUMN_MAX)
	if (!was_comment && code ~ /^ / && text !~ /^ *\/\*/ && previous !~ /\\$/)
		fail("space", "indented with spaces, not tabs")
}

function check_include(text,	name, dir)
{
	if (code !~ /^[ \t]*#[ \t]*include[ \t]*"/)
		return
	name = text
	sub(/^[^"]*"/, "", name)
	sub(/".*/, "", name)
	dir = name ~ /\// ? name : part
	sub(/\/.*/, "", dir)
	if (part == "libdaxfs")
		include_library(name, dir)
	else if (part == "include")
		include_public(name)
	else if (part == "common")
		include_of(name, dir, dir == "common" || name == "daxfs/daxfs.h")
	else if (part == "proto")
		include_of(name, dir, dir == "proto" || dir == "common" || name == "daxfs/daxfs.h")
	else if (product)
		include_of(name, dir, dir == part || dir == "proto" || dir == "common" || \
			   name ~ /^daxfs\/(daxfs|member|resume|lease|inspect|events|cache)\.h$/ || name ~ /^[a-z_]*\.pb-c\.h$/)
}

function include_library(name, dir)
{
	if (name !~ /\//)
		return
	if (dir != "daxfs" && !(dir in rank))
		fail("include", name " is not a layer of the library")
	else if (dir in rank && rank[dir] > rank[layer])
		fail("include", "layer " layer " includes " name " above it")
}

function include_public(name)
{
	if (name !~ /^daxfs\// || (name ~ /\/format[a-z_]*\.h$/ && path !~ /\/format[a-z_]*\.h$/))
		fail("include", "a public header includes " name)
}

function include_of(name, dir, fine)
{
	if (!fine)
		fail("include", part " includes " name ": only what its place allows (CONTRIBUTING.md)")
}

function check_seam()
{
	if (code ~ /volatile/ && code !~ /volatile sig_atomic_t/ && !(path in ASSEMBLER))
		fail("volatile", "volatile orders nothing")
	if (seam || !product)
		return
	if (code ~ /(\.|->)[ \t]*sm_v([^a-z0-9_]|$)/ || code ~ /\(sm_u64\)[ \t]*\{/)
		fail("seam", "shared words are touched by mem/shm.h alone")
	if (part == "libdaxfs" && code ~ /(^|[^a-z0-9_])(_Atomic|(__)?atomic_[a-z_]+|__sync_[a-z_]+|stdatomic\.h)/ && !(path in atomics_ok))
		fail("seam", "atomics outside the seam (private ones: list the file in scripts/lint)")
	if (part == "libdaxfs" && layer != "mem" && code ~ /(^|[^a-z0-9_])(memcpy|memmove|memset|memcmp)[ \t]*\(.*(pool_page|pool_at|shm\.base)/)
		fail("seam", "shared bytes are copied by sm_read, sm_write and sm_zero alone")
}

function check_library()
{
	if (part != "libdaxfs")
		return
	if (code ~ /(^|[^a-z0-9_])(printf|fprintf|vprintf|puts|fputs|putchar|perror|syslog|exit|_exit|_Exit|quick_exit|abort)[ \t]*\(/)
		fail("library", "the library neither prints nor ends the process")
	if (FILENAME !~ /libdaxfs\/mem\/shm\.h$/ && code ~ /(^|[^a-z0-9_])(sleep|usleep|nanosleep|clock_nanosleep)[ \t]*\(/)
		fail("library", "the library does not sleep, but by sm_nap while it waits for a lease")
}

# Publications say what they are ordered against.
function check_order()
{
	if (part != "libdaxfs" || seam || code !~ /(^|[^a-z0-9_])(sm_cas_value|sm_cas|sm_store|sm_fence)[ \t]*\(/)
		return
	publications++
	if (!ord_line || lines - ord_line > ORD_LINES) {
		fail("order", "a publication without an ORD comment in the " ORD_LINES " lines before")
	}
}

function check_function()
{
	if (code ~ /^\{/) {
		in_body = 1
		body_start = lines
		body_name = proto
	} else if (code ~ /^\}/ && in_body) {
		in_body = 0
		function_ends(lines - body_start - 1)
	} else if (!in_body && code ~ /^[a-zA-Z_].*\(/) {
		proto = code
		sub(/\(.*/, "", proto)
		sub(/.*[ *]/, "", proto)
	}
}

function function_ends(length_lines)
{
	if (length_lines > FUNCTION_MAX)
		fail("function-length", body_name "() has " length_lines " lines, at most " FUNCTION_MAX)
	if (!product)
		return
	count[length_lines]++
	functions++
	if (length_lines > longest) {
		longest = length_lines
		longest_name = body_name "() in " path
	}
}

# Mutable state with static lifetime in the library.
function check_state(	declared)
{
	if (part == "libdaxfs" && !(path in STATE_OK)) {
		declared = code
		sub(/=.*/, "", declared)
		if (declared ~ /(^|[^a-z_])(_Thread_local|__thread)([^a-z_]|$)/)
			fail("state", "per-thread state in the library")
		else if (depth > 0 && in_body && declared ~ /^[ \t]+static[ \t]/ && mutable(declared))
			fail("state", "mutable static in a function")
		else if (depth == 0 && is_variable(declared) && mutable(declared))
			fail("state", "mutable state at file scope")
	}
	depth += gsub(/\{/, "{", code) - gsub(/\}/, "}", code)
}

function is_variable(declared)
{
	if (declared !~ /^[a-z_]/ || declared ~ /^(typedef|extern|enum|union|static_assert|_Static_assert|DAXFS_)/)
		return 0
	if (declared ~ /^(static[ \t]+)?(const[ \t]+)?(struct|union|enum)[ \t]+[a-z0-9_]+[ \t]*[{;]/)
		return 0
	if (declared ~ /\(\*/) # a function pointer, or a function with one among its parameters
		return declared ~ /^[a-z0-9_ \t*]*\(\*/
	return declared !~ /\(/ && (code ~ /=/ || code ~ /[a-z0-9_\]][ \t]*;/)
}

function mutable(declared)
{
	if (declared ~ /\(\*/)
		return declared !~ /\(\*[ \t]*const/
	if (declared ~ /\*/)
		return declared !~ /\*[ \t]*const[^*]*$/
	return declared !~ /(^|[^a-z_])const([^a-z_]|$)/
}

function percentile(p,	seen, n)
{
	for (n = 0; n <= longest; n++) {
		seen += count[n]
		if (seen * 100 >= functions * p)
			return n
	}
	return longest
}

function report()
{
	printf "lint: %d files, %d functions outside tests: median %d lines, 90th percentile %d, longest %d: %s\n", \
		files, functions, percentile(50), percentile(90), longest, longest_name
	printf "lint: longest file %d lines: %s\n", file_longest, file_longest_path
	printf "lint: %d publications in the library, each with an ORD comment\n", publications
	printf "lint: %d findings\n", findings
}
