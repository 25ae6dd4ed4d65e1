/* cli/flags.h - command-line flags by tables, with the semantics that Docker's users know (pflag's).
 *
 * --name value, --name=value, -n value, -nvalue, -n=value, -abc for switches; a switch takes a value only
 * behind '='; "--" ends flags; a flag given twice keeps the last value, lists collect.  A command either
 * lets flags stand between arguments or stops at the first argument (`run`, `exec`, `create`).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum flag_type {
	FLAG_BOOL,     /* bool */
	FLAG_STRING,   /* const char *, borrowed from argv */
	FLAG_LIST,     /* struct strv: every value in order */
	FLAG_CSV,      /* struct strv: every value, split at commas */
	FLAG_INT,      /* int */
	FLAG_I64,      /* int64_t */
	FLAG_U16,      /* uint16_t */
	FLAG_BYTES,    /* int64_t: "64m", "1.5g", "100"; powers of 1024 */
	FLAG_CPUS,     /* int64_t: "0.5" is 500000000 */
	FLAG_DURATION, /* int64_t ns: "1m30s", Go's syntax */
	FLAG_TYPE_COUNT,
};

struct flag {
	const char *name; /* without dashes; NULL ends a table */
	char shorthand;   /* 0: none */
	enum flag_type type;
	size_t offset; /* of the value in the options struct */
	const char *help;
	const char *placeholder; /* in help, NULL: the type's */
	/* Grammar beyond the type, or NULL: the error is what follows "invalid argument ...: ". */
	int (*check)(const char *value, struct error *err);
	bool hidden;
};
#define FLAG(st, name_, short_, type_, member, help_)                    \
	{                                                                \
		.name = (name_), .shorthand = (short_), .type = (type_), \
		.offset = offsetof(st, member), .help = (help_)          \
	}

#define FLAG_CHECKED(st, name_, short_, type_, member, check_, help_)              \
	{                                                                          \
		.name = (name_), .shorthand = (short_), .type = (type_),           \
		.offset = offsetof(st, member), .help = (help_), .check = (check_) \
	}

#define FLAGS_MAX 128 /* rows in one table */

struct flags_parsed {
	char **args; /* the arguments that are no flags; borrowed array inside argv */
	int arg_count;
	bool changed[FLAGS_MAX]; /* by row: given on the command line */
	bool help;               /* --help or -h (unless -h is a flag of the table) */
};

/* Parse argv[0..argc) (no program name) into `options`, whose strv members start zeroed and are the
 * caller's to free.  argv is reordered.  ERROR_INVALID with pflag's words: "unknown flag: --x",
 * "unknown shorthand flag: 'x' in -xy", "flag needs an argument: --x",
 * "invalid argument "y" for "-m, --memory" flag: ...". */
int flags_parse(const struct flag *table, void *options, int argc, char **argv,
		bool stop_at_argument, struct flags_parsed *ret, struct error *err);
/* Was this flag given? */
bool flags_changed(const struct flag *table, const struct flags_parsed *parsed, const char *name);
/* The "Options:" block of a command's help, sorted by name as Docker's. */
void flags_usage(const struct flag *table, struct strbuf *out);

/* Value parsers, also used elsewhere.  -EINVAL. */
int flags_parse_bytes(const char *s, int64_t *ret);
int flags_parse_cpus(const char *s, int64_t *ret_nano);
int flags_parse_duration(const char *s, int64_t *ret_ns);
int flags_parse_bool(const char *s, bool *ret);
