/* Log lines as they arrive at the descriptor. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static int log_end, read_end;

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	log_end = pair[0];
	read_end = pair[1];
	log_set_fd(log_end);
	log_set_level(LOG_LEVEL_INFO);
	log_set_name(NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_fd(2);
	(void)close(log_end);
	(void)close(read_end);
	return 0;
}

/* One packet is one write(2). */
static const char *next_line(char *buf, size_t size)
{
	ssize_t n = recv(read_end, buf, size - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void test_line(void **state)
{
	char buf[20000], *space;
	int64_t ns;

	(void)state;
	errno = 77;
	log_warn("disk %d%% full", 91);
	assert_int_equal(errno, 77);
	(void)next_line(buf, sizeof(buf));
	space = strchr(buf, ' ');
	assert_non_null(space);
	assert_string_equal(space, " warn disk 91% full\n");
	*space = '\0';
	assert_int_equal(clock_parse_rfc3339(buf, &ns), 0);

	log_set_name("vesseld");
	log_error("a\nb\x01");
	assert_true(str_has_suffix(next_line(buf, sizeof(buf)), " error vesseld: a\\nb\\x01\n"));
}

static void test_level(void **state)
{
	char buf[20000];
	enum log_level level = LOG_LEVEL_WARN;

	(void)state;
	log_debug("no");
	assert_string_equal(next_line(buf, sizeof(buf)), "");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("yes");
	assert_true(str_has_suffix(next_line(buf, sizeof(buf)), " debug yes\n"));
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(log_level_parse(NULL, &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("fatal", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void test_long_message_stays_one_line(void **state)
{
	autofree char *text = xcalloc(1, 10001);
	char buf[20000];
	size_t len;

	(void)state;
	memset(text, '\n', 10000);
	log_info("%s", text);
	len = strlen(next_line(buf, sizeof(buf)));
	assert_true(len > 4000);
	assert_int_equal(buf[len - 1], '\n');
	assert_ptr_equal(strchr(buf, '\n'), buf + len - 1);
}

static void test_journal_prefix(void **state)
{
	char buf[20000], stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(log_end, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	(void)setenv("JOURNAL_STREAM", stream, 1);
	log_error("x");
	(void)setenv("JOURNAL_STREAM", "1:1", 1); /* someone else's stream */
	assert_string_equal(next_line(buf, sizeof(buf)), "<3>x\n");
	log_error("x");
	(void)unsetenv("JOURNAL_STREAM");
	assert_true(str_has_suffix(next_line(buf, sizeof(buf)), "Z error x\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_level, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_message_stays_one_line, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_journal_prefix, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
