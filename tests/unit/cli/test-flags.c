#include "cli/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

struct options {
	bool detach, tty, interactive;
	const char *name;
	struct strv env, only;
	int64_t memory, cpus, wait;
	int tail;
	uint16_t weight;
};

static const struct flag table[] = {
	FLAG(struct options, "detach", 'd', FLAG_BOOL, detach, "Run in background"),
	FLAG(struct options, "tty", 't', FLAG_BOOL, tty, "Allocate a terminal"),
	FLAG(struct options, "interactive", 'i', FLAG_BOOL, interactive, "Keep input open"),
	FLAG(struct options, "name", 0, FLAG_STRING, name, "Name"),
	FLAG(struct options, "env", 'e', FLAG_LIST, env, "Environment"),
	FLAG(struct options, "only", 0, FLAG_CSV, only, "Only these"),
	FLAG(struct options, "memory", 'm', FLAG_BYTES, memory, "Memory limit"),
	FLAG(struct options, "cpus", 0, FLAG_CPUS, cpus, "CPUs"),
	FLAG(struct options, "wait", 0, FLAG_DURATION, wait, "How long"),
	FLAG(struct options, "tail", 'n', FLAG_INT, tail, "Lines"),
	FLAG(struct options, "weight", 0, FLAG_U16, weight, "Weight"),
	{0},
};

struct run {
	struct options o;
	struct flags_parsed parsed;
	struct error err;
	int r;
	char *argv[16];
};

/* Parses words split at spaces. */
static struct run *parse(const char *line, bool stop)
{
	static char copy[256];
	static struct run run;
	int argc = 0;

	strv_done(&run.o.env);
	strv_done(&run.o.only);
	error_done(&run.err);
	run = (struct run){0};
	assert_true(str_copy(copy, sizeof(copy), line));
	for (char *p = copy, *end; *p; p = end) {
		end = p + strcspn(p, " ");
		if (*end)
			*end++ = '\0';
		run.argv[argc++] = p;
	}
	run.r = flags_parse(table, &run.o, argc, run.argv, stop, &run.parsed, &run.err);
	return &run;
}

static void forms_of_values(void **state)
{
	struct run *run;

	(void)state;
	run = parse("-it --name=web -e A=1 --env B=2 -m64m -n=5 image", false);
	assert_int_equal(run->r, 0);
	assert_true(run->o.interactive && run->o.tty && !run->o.detach);
	assert_string_equal(run->o.name, "web");
	assert_int_equal(run->o.env.n, 2);
	assert_string_equal(run->o.env.v[1], "B=2");
	assert_int_equal(run->o.memory, 64 << 20);
	assert_int_equal(run->o.tail, 5);
	assert_int_equal(run->parsed.arg_count, 1);
	assert_string_equal(run->parsed.args[0], "image");
	assert_true(flags_changed(table, &run->parsed, "memory"));
	assert_false(flags_changed(table, &run->parsed, "cpus"));

	run = parse("--detach=false --cpus 0.5 --wait 1m30s --only a,b --only c --weight 65535",
		    false);
	assert_int_equal(run->r, 0);
	assert_false(run->o.detach);
	assert_int_equal(run->o.cpus, 500000000);
	assert_int_equal(run->o.wait, 90000000000);
	assert_int_equal(run->o.only.n, 3);
	assert_int_equal(run->o.weight, 65535);
}

static void where_flags_end(void **state)
{
	struct run *run = parse("-d image sh -c x -t", true);

	(void)state;
	assert_int_equal(run->r, 0);
	assert_false(run->o.tty);
	assert_int_equal(run->parsed.arg_count, 5);
	assert_string_equal(run->parsed.args[4], "-t");

	run = parse("a -d b -- -t", false);
	assert_int_equal(run->r, 0);
	assert_true(run->o.detach);
	assert_false(run->o.tty);
	assert_int_equal(run->parsed.arg_count, 3);
	assert_string_equal(run->parsed.args[2], "-t");

	/* "-" and words with dashes inside are arguments like others */
	run = parse("- x-y -d", false);
	assert_int_equal(run->r, 0);
	assert_true(run->o.detach);
	assert_int_equal(run->parsed.arg_count, 2);
}

static void errors_use_known_words(void **state)
{
	static const struct {
		const char *line, *msg;
	} cases[] = {
		{"--nope", "unknown flag: --nope"},
		{"--nope=1", "unknown flag: --nope"},
		{"-dx", "unknown shorthand flag: 'x' in -dx"},
		{"--name", "flag needs an argument: --name"},
		{"-de", "flag needs an argument: 'e' in -de"},
		{"-m lots",
		 "invalid argument \"lots\" for \"-m, --memory\" flag: invalid size: 'lots'"},
		{"--weight 65536",
		 "invalid argument \"65536\" for \"--weight\" flag: value out of range"},
		{"--tty=perhaps", "invalid argument \"perhaps\" for \"-t, --tty\" flag: "
				  "strconv.ParseBool: parsing \"perhaps\": invalid syntax"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run *run = parse(cases[i].line, false);

		assert_int_equal(run->r, -EIO);
		assert_int_equal(run->err.kind, ERROR_INVALID);
		assert_string_equal(run->err.msg, cases[i].msg);
	}
}

static void sizes_and_durations(void **state)
{
	static const struct {
		const char *s;
		int64_t bytes;
	} sizes[] = {{"0", 0},          {"100", 100},        {"1b", 1},
		     {"1k", 1024},      {"1.5g", 3LL << 29}, {"2KiB", 2048},
		     {"1 MB", 1 << 20}, {"0.5k", 512},       {"7T", 7LL << 40}};
	static const char *const bad[] = {"",
					  "m",
					  "-5",
					  "1x",
					  "1mm",
					  "1..5",
					  "0x10",
					  "99999999999999999999",
					  "9223372036854775807k"};
	int64_t v = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(flags_parse_bytes(sizes[i].s, &v), 0);
		assert_int_equal(v, sizes[i].bytes);
	}
	v = 42;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(flags_parse_bytes(bad[i], &v) < 0);
		assert_int_equal(v, 42);
	}
	assert_int_equal(flags_parse_duration("1h2m3.5s", &v), 0);
	assert_int_equal(v, 3723500000000);
	assert_true(flags_parse_duration("5", &v) < 0);
	assert_true(flags_parse_duration("5 s", &v) < 0);
}

static void help_is_sorted_and_aligned(void **state)
{
	static const struct flag two[] = {
		FLAG(struct options, "name", 0, FLAG_STRING, name, "Name"),
		FLAG(struct options, "env", 'e', FLAG_LIST, env, "Environment"),
		{0},
	};
	autostrbuf struct strbuf b = STRBUF_INIT(4096);

	(void)state;
	flags_usage(two, &b);
	assert_string_equal(b.s, "  -e, --env list      Environment\n"
				 "      --name string   Name\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_values),
		cmocka_unit_test(where_flags_end),
		cmocka_unit_test(errors_use_known_words),
		cmocka_unit_test(sizes_and_durations),
		cmocka_unit_test(help_is_sorted_and_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
