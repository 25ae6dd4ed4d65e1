/* Detach keys: the grammar, and the matcher however the input is split. */
#include "base/detach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void grammar(void **state)
{
	static const struct {
		const char *keys, *bytes;
		size_t n;
	} good[] = {
		{"ctrl-p,ctrl-q", "\x10\x11", 2},
		{"ctrl-@", "\0", 1},
		{"a", "a", 1},
		{"a,b,DEL", "ab\x7f", 3},
		{"ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", "\x1b\x1c\x1d\x1e\x1f", 5},
		{"ctrl-z,Z", "\x1aZ", 2},
		{"", "", 0},
	};
	static const char *const bad[] = {
		"ctrl-", "ctrl-P", "ctrl-1",    "pq",
		",",     "a,",     "ctrl-p,,a", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct detach d;

		assert_int_equal(detach_init(&d, good[i].keys, NULL), 0);
		assert_int_equal(d.count, good[i].n);
		assert_memory_equal(d.keys, good[i].bytes, good[i].n);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoerror struct error err = {0};
		struct detach d;

		assert_true(detach_init(&d, bad[i], &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(error_msg(&err), bad[i]));
	}
}

/* Feed `in` split before every position in turn; the output never depends on it. */
static void check(const char *keys, const char *in, const char *want, bool detached)
{
	for (size_t split = 0; split <= strlen(in); split++) {
		autostrbuf struct strbuf out = STRBUF_INIT(1024);
		struct detach d;
		bool found;

		assert_int_equal(detach_init(&d, keys, NULL), 0);
		found = detach_filter(&d, in, split, &out);
		if (!found)
			found = detach_filter(&d, in + split, strlen(in) - split, &out);
		if (!found)
			detach_flush(&d, &out);
		assert_int_equal(found, detached);
		assert_string_equal(out.s, want);
	}
}

static void matching(void **state)
{
	(void)state;
	check("ctrl-p,ctrl-q", "hello", "hello", false);
	check("ctrl-p,ctrl-q", "a\x10\x11zzz", "a", true);
	check("ctrl-p,ctrl-q", "a\x10z", "a\x10z", false);
	check("ctrl-p,ctrl-q", "a\x10", "a\x10", false);
	check("ctrl-p,ctrl-q", "\x10\x10\x10\x11", "\x10\x10", true);
	check("ctrl-p,ctrl-q", "\x11\x10\x11", "\x11", true);
	check("a,a,b", "aaab", "a", true);
	check("a,b,a,b,c", "xababababc", "xabab", true);
	check("a,b,a,b,c", "ababab", "ababab", false);
	check("", "\x10\x11", "\x10\x11", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(grammar), cmocka_unit_test(matching)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
