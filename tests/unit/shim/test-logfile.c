/* The json-file log: what is written is what a JSON parser, and our reader, read back. */
#include "shim/logfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/logentry.h"
#include "shim/logline.h"

/* 2006-01-02T15:04:05.999000000Z: the fraction loses its zeros. */
#define MOMENT INT64_C(1136214245999000000)

static char dir[] = "/tmp/vessel-test-logfile-XXXXXX";
static char path[sizeof(dir) + 8];

static int setup(void **state)
{
	(void)state;
	memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

static struct logfile *open_log(uint64_t max_size, uint32_t max_file)
{
	struct shim_log cfg = {
		.type = "json-file", .path = path, .max_size = max_size, .max_file = max_file};
	struct logfile *l;

	assert_int_equal(logfile_open(&cfg, &l, NULL), 0);
	assert_non_null(l);
	return l;
}

static char *content(const char *suffix, size_t *ret_len)
{
	autofree char *name = xasprintf("%s%s", path, suffix);
	char *text;

	assert_int_equal(file_read(AT_FDCWD, name, (size_t)64 << 20, &text, ret_len, NULL), 0);
	return text;
}

static void exact_bytes(void **state)
{
	static const char in[] =
		"plain\n<a>&\"\\\t\r\x01\x7f\n\xc3\xa9\xe2\x80\xa8\xff\xc0\xaf\xed\xa0\x80\n\npart";
	static const char want[] =
		"{\"log\":\"plain\\n\",\"stream\":\"stderr\",\"attrs\":{\"tag\":\"<x>\"},"
		"\"time\":\"2006-01-02T15:04:05.999Z\"}\n"
		"{\"log\":\"\\u003ca\\u003e\\u0026\\\"\\\\\\u0009\\r\\u0001\x7f\\n\","
		"\"stream\":\"stderr\",\"attrs\":{\"tag\":\"<x>\"},\"time\":\"2006-01-02T15:04:05."
		"999Z\"}\n"
		"{\"log\":\"\xc3\xa9\\u2028\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\n\","
		"\"stream\":\"stderr\",\"attrs\":{\"tag\":\"<x>\"},\"time\":\"2006-01-02T15:04:05."
		"999Z\"}\n"
		"{\"log\":\"\\n\",\"stream\":\"stderr\",\"attrs\":{\"tag\":\"<x>\"},"
		"\"time\":\"2006-01-02T15:04:05.999Z\"}\n";
	static const char last[] =
		"{\"log\":\"part\",\"stream\":\"stderr\",\"attrs\":{\"tag\":\"<x>\"},"
		"\"time\":\"2006-01-02T15:04:05.999Z\"}\n";
	autoarena struct arena *a = arena_new();
	autologfile struct logfile *l = NULL;
	autofree char *one = NULL, *two = NULL;
	struct shim_log cfg = {.type = "json-file", .path = path, .max_file = 1};
	size_t len;

	(void)state;
	assert_int_equal(json_parse(a, "{\"tag\":\"<x>\"}", 13, &cfg.attrs, NULL), 0);
	assert_int_equal(logfile_open(&cfg, &l, NULL), 0);
	logfile_write(l, STREAM_STDERR, in, sizeof(in) - 1, MOMENT);
	assert_string_equal(logfile_unfinished(l, STREAM_STDERR)->s, "part");
	one = content("", &len);
	assert_string_equal(one, want);
	logfile_end(l, STREAM_STDERR, MOMENT);
	two = content("", &len);
	assert_string_equal(two + strlen(want), last);
	assert_string_equal(logfile_unfinished(l, STREAM_STDERR)->s, "");
}

/* Plain text is looked at sixteen bytes at a time.  The line that is found on the way is the one whose
 * end was known. */
static void each_byte_at_each_place(void **state)
{
	static const char tail[] = "\",\"stream\":\"stdout\",\"time\":\"\"}";
	char text[41], line[LOGLINE_ROOM(sizeof(text), sizeof(tail))], next[sizeof(line)];
	size_t tail_len = sizeof(tail) - 1;

	(void)state;
	for (unsigned c = 0; c < 0x100; c++)
		for (size_t at = 0; at < sizeof(text) - 1; at++) {
			autostrbuf struct strbuf back = STRBUF_INIT(100);
			enum stream_kind stream;
			bool escaped = c < 0x20 || c >= 0x80 || strchr("\"&<>\\", (int)c);
			size_t len = sizeof(text) - 1, n;
			const char *p = text, *lf;

			memset(text, 'a', sizeof(text));
			text[at] = (char)c;
			n = logline_encode(line, text, len, false, tail, tail_len);
			assert_int_equal(memchr(line, '\\', n) != NULL, escaped);
			assert_true(logline_decode(line, n, &stream, &back));
			assert_int_equal(back.len, c < 0x80 ? len : len + 2);
			assert_true(c >= 0x80 || memcmp(back.s, text, len) == 0);

			if (c != '\n')
				assert_int_equal(
					logline_encode_next(next, &p, text + len, tail, tail_len),
					0);
			assert_ptr_equal(p, text);
			text[len] = '\n';
			lf = memchr(text, '\n', sizeof(text));
			n = logline_encode(line, text, (size_t)(lf - text), true, tail, tail_len);
			assert_int_equal(
				logline_encode_next(next, &p, text + sizeof(text), tail, tail_len),
				n);
			assert_memory_equal(next, line, n);
			assert_ptr_equal(p, lf + 1);
		}
}

/* Append the texts of all lines of a stream in a log file, as the JSON parser sees them. */
static size_t parse_back(const char *text, const char *stream, struct strbuf *out)
{
	size_t lines = 0;

	for (const char *p = text, *lf; (lf = strchr(p, '\n')) != NULL; p = lf + 1) {
		autoarena struct arena *a = arena_new();
		const struct json *doc, *log;

		assert_int_equal(json_parse(a, p, (size_t)(lf - p), &doc, NULL), 0);
		if (strcmp(json_get_string(doc, "stream"), stream) != 0)
			continue;
		log = json_get(doc, "log");
		assert_true(json_string_len(log) <= LOGLINE_MAX + 1);
		strbuf_add(out, json_string(log), json_string_len(log));
		lines++;
	}
	return lines;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Valid UTF-8 with lines of all lengths, written in pieces of all lengths, on both streams. */
static void any_split(void **state)
{
	static const char *const words[] = {
		"word ", "\n", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"<&", "\t"};
	autologfile struct logfile *l = open_log(0, 1);
	struct strbuf in[3] = {STRBUF_INIT(1 << 22), STRBUF_INIT(1 << 22), STRBUF_INIT(1 << 22)};
	struct strbuf back[3] = {STRBUF_INIT(0), STRBUF_INIT(1 << 22), STRBUF_INIT(1 << 22)};
	struct logfile_reader *r;
	autofree char *text = NULL;
	size_t pos[3] = {0};
	enum stream_kind kind;
	uint32_t seed = 1;
	int got;

	(void)state;
	for (int s = 1; s <= 2; s++)
		for (int i = 0; i < 200000; i++) {
			uint32_t w = next_random(&seed) % 1000;

			strbuf_adds(&in[s], words[w < 2 ? 1 : w % 7 == 1 ? 0 : w % 7]);
		}
	while (pos[1] < in[1].len || pos[2] < in[2].len)
		for (int s = 1; s <= 2; s++) {
			size_t n = next_random(&seed) % (next_random(&seed) % 8 ? 64 : 65536);

			n = n < in[s].len - pos[s] ? n : in[s].len - pos[s];
			logfile_write(l, (enum stream_kind)s, in[s].s + pos[s], n, MOMENT);
			pos[s] += n;
		}
	logfile_end(l, STREAM_STDOUT, MOMENT);
	logfile_end(l, STREAM_STDERR, MOMENT);

	text = content("", NULL);
	assert_true(parse_back(text, "stdout", &back[1]) > 100);
	assert_true(parse_back(text, "stderr", &back[2]) > 100);
	for (int s = 1; s <= 2; s++) {
		assert_int_equal(back[s].len, in[s].len);
		assert_memory_equal(back[s].s, in[s].s, in[s].len);
		strbuf_reset(&back[s]);
	}

	r = logfile_reader_new(l);
	for (;;) {
		autostrbuf struct strbuf line = STRBUF_INIT(2 * LOGLINE_MAX);

		got = logfile_reader_next(r, &kind, &line);
		if (got == 0)
			break;
		strbuf_add(&back[kind], line.s, line.len);
	}
	for (int s = 1; s <= 2; s++) {
		assert_int_equal(back[s].len, in[s].len);
		assert_memory_equal(back[s].s, in[s].s, in[s].len);
		strbuf_done(&back[s]);
		strbuf_done(&in[s]);
	}
	r = logfile_reader_free(r);
}

/* A line of exactly 16 KiB is a part, and its line feed a line: as dockerd writes them. */
static void long_lines(void **state)
{
	autologfile struct logfile *l = open_log(0, 1);
	autofree char *in = xcalloc(3 * LOGLINE_MAX, 1), *text = NULL;
	autoarena struct arena *a = arena_new();
	const size_t want[] = {LOGLINE_MAX, 1, LOGLINE_MAX, 101, 2};
	const char *p;

	(void)state;
	memset(in, 'x', 3 * LOGLINE_MAX);
	in[LOGLINE_MAX] = '\n';
	in[2 * LOGLINE_MAX + 101] = '\n';
	in[2 * LOGLINE_MAX + 103] = '\n';
	logfile_write(l, STREAM_STDOUT, in, 5, MOMENT);
	logfile_write(l, STREAM_STDOUT, in + 5, 2 * LOGLINE_MAX + 99, MOMENT);
	p = text = content("", NULL);
	for (size_t i = 0; i < 5; i++) {
		const struct json *doc;
		const char *lf = strchr(p, '\n');

		assert_non_null(lf);
		assert_int_equal(json_parse(a, p, (size_t)(lf - p), &doc, NULL), 0);
		assert_int_equal(json_string_len(json_get(doc, "log")), want[i]);
		p = lf + 1;
	}
	assert_int_equal(*p, 0);
}

static void write_numbers(struct logfile *l, int from, int to)
{
	for (int i = from; i < to; i++) {
		char line[16];
		int n = snprintf(line, sizeof(line), "%d\n", i);

		logfile_write(l, STREAM_STDOUT, line, (size_t)n, MOMENT);
	}
}

static int read_numbers(struct logfile_reader *r, int expect)
{
	autostrbuf struct strbuf line = STRBUF_INIT(64);
	enum stream_kind kind;

	while (logfile_reader_next(r, &kind, &line) == 1) {
		assert_int_equal(strtol(line.s, NULL, 10), expect);
		expect++;
		strbuf_reset(&line);
	}
	return expect;
}

static void rotation(void **state)
{
	autologfile struct logfile *l = open_log(1000, 3);
	struct logfile_reader *early = logfile_reader_new(l), *late;
	autofree char *oldest = NULL, *gone = xasprintf("%s.3", path);
	struct stat st;
	int seen = 0, first;

	(void)state;
	for (int i = 0; i < 100; i += 10) { /* each batch is less than a file */
		write_numbers(l, i, i + 10);
		seen = read_numbers(early, seen);
		assert_int_equal(seen, i + 10);
	}
	early = logfile_reader_free(early);

	assert_int_equal(stat(gone, &st), -1);
	oldest = content(".2", NULL);
	first = (int)strtol(oldest + strlen("{\"log\":\""), NULL, 10);
	assert_in_range(first, 1, 90);
	late = logfile_reader_new(l);
	assert_int_equal(read_numbers(late, first), 100);
	late = logfile_reader_free(late);

	/* Restarted: the same files go on. */
	l = logfile_free(l);
	l = open_log(1000, 3);
	late = logfile_reader_new(l);
	assert_int_equal(read_numbers(late, first), 100);
	late = logfile_reader_free(late);
}

/* The beginning of a line does not rotate a full file: its end does. */
static void rotated_for_a_line(void **state)
{
	autologfile struct logfile *l = open_log(1, 2);
	autofree char *old = NULL, *new = NULL, *rotated = xasprintf("%s.1", path);

	(void)state;
	logfile_write(l, STREAM_STDOUT, "1\n2", 3, MOMENT);
	assert_int_equal(access(rotated, F_OK), -1);
	logfile_write(l, STREAM_STDOUT, "\n", 1, MOMENT);
	old = content(".1", NULL);
	new = content("", NULL);
	assert_non_null(strstr(old, "{\"log\":\"1\\n\""));
	assert_non_null(strstr(new, "{\"log\":\"2\\n\""));
}

static void single_file_rotation(void **state)
{
	autologfile struct logfile *l = open_log(500, 1);
	autofree char *text = NULL, *one = xasprintf("%s.1", path);
	struct stat st;
	size_t len;

	(void)state;
	write_numbers(l, 0, 100);
	text = content("", &len);
	assert_true(len > 0 && len < 600);
	assert_non_null(strstr(text, "99\\n"));
	assert_int_equal(stat(one, &st), -1);
}

static void torn_line(void **state)
{
	static const char text[] =
		"{\"log\":\"0\\n\",\"stream\":\"stdout\",\"time\":\"x\"}\n{\"log\":\"1";
	autologfile struct logfile *l = NULL;
	struct logfile_reader *r;

	(void)state;
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0640, 0, NULL), 0);
	l = open_log(0, 1);
	write_numbers(l, 1, 3);
	r = logfile_reader_new(l);
	assert_int_equal(read_numbers(r, 0), 3);
	r = logfile_reader_free(r);
}

/* What does not fit is dropped by whole lines, and logging goes on when there is room again. */
static void full_disk(void **state)
{
	struct rlimit old, tight = {700, RLIM_INFINITY};
	autologfile struct logfile *l = open_log(0, 1);
	struct logfile_reader *r;
	autofree char *text = NULL;
	int whole;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	write_numbers(l, 0, 100);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

	text = content("", NULL);
	assert_int_equal(text[strlen(text) - 1], '\n');
	r = logfile_reader_new(l);
	whole = read_numbers(r, 0);
	assert_in_range(whole, 1, 50);
	assert_int_equal(logfile_dropped(l), 100 - whole);
	write_numbers(l, whole, 60);
	assert_int_equal(read_numbers(r, whole), 60);
	r = logfile_reader_free(r);
}

static void none(void **state)
{
	struct shim_log cfg = {.type = "none"};
	struct logfile *l = (struct logfile *)&cfg;
	struct logfile_reader *r;
	enum stream_kind kind;

	(void)state;
	assert_int_equal(logfile_open(&cfg, &l, NULL), 0);
	assert_null(l);
	logfile_write(l, STREAM_STDOUT, "x\n", 2, MOMENT);
	logfile_end(l, STREAM_STDOUT, MOMENT);
	assert_int_equal(logfile_unfinished(l, STREAM_STDOUT)->len, 0);
	r = logfile_reader_new(l);
	assert_int_equal(logfile_reader_next(r, &kind, NULL), 0);
	r = logfile_reader_free(r);
}

/* ---- the driver local ------------------------------------------------------------------------- */

static struct logfile *open_local(uint64_t max_size, uint32_t max_file)
{
	struct shim_log cfg = {
		.type = "local", .path = path, .max_size = max_size, .max_file = max_file};
	struct logfile *l;

	assert_int_equal(logfile_open(&cfg, &l, NULL), 0);
	return l;
}

static void local_parts(void **state)
{
	autologfile struct logfile *l = open_local(0, 1);
	autofree char *text = xcalloc(LOGLINE_MAX + 11, 1), *data = NULL;
	struct logentry e[4];
	size_t len, at = 0;

	(void)state;
	memset(text, 'x', LOGLINE_MAX + 10);
	text[LOGLINE_MAX + 9] = '\n';
	logfile_write(l, STREAM_STDOUT, "one\n", 4, MOMENT);
	logfile_write(l, STREAM_STDOUT, text, LOGLINE_MAX + 5, MOMENT);
	logfile_write(l, STREAM_STDERR, "two\nopen", 8, MOMENT + 1);
	logfile_write(l, STREAM_STDOUT, text + LOGLINE_MAX + 5, 5, MOMENT + 2);
	data = content("", &len);
	for (size_t i = 0; i < 4; i++) {
		ssize_t n = logentry_next(data + at, len - at, &e[i]);

		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_int_equal(at, len);
	assert_memory_equal(e[0].line, "one", e[0].len);
	assert_false(e[0].partial || e[2].partial);
	assert_true(e[0].time_ns == MOMENT && e[2].time_ns == MOMENT + 1);
	assert_int_equal(e[2].stream, LOGENTRY_STDERR);
	assert_true(e[1].partial && !e[1].last && e[1].ordinal == 1 && e[1].len == LOGLINE_MAX);
	assert_true(e[3].partial && e[3].last && e[3].ordinal == 2 && e[3].len == 9);
	/* Parts share the id and the time of the first. */
	assert_int_equal(e[1].id_len, e[3].id_len);
	assert_memory_equal(e[1].id, e[3].id, e[1].id_len);
	assert_true(e[3].time_ns == MOMENT);
	logfile_end(l, STREAM_STDERR, MOMENT);
	free(data);
	data = content("", &len);
	assert_true(logentry_next(data + at, len - at, &e[0]) > 0);
	assert_true(e[0].partial && !e[0].last);
	assert_memory_equal(e[0].line, "open", 4);
}

/* Read as attach reads it. */
static void expect_all(struct logfile *l, unsigned from, unsigned to)
{
	struct logfile_reader *r = logfile_reader_new(l);
	autostrbuf struct strbuf text = STRBUF_INIT(1000);
	enum stream_kind kind;

	for (unsigned i = from; i <= to; i++) {
		autofree char *want = xasprintf("%u\n", i);

		strbuf_reset(&text);
		assert_int_equal(logfile_reader_next(r, &kind, &text), 1);
		assert_string_equal(text.s, want);
	}
	assert_int_equal(logfile_reader_next(r, &kind, &text), 0);
	(void)logfile_reader_free(r);
}

static void put_numbers(struct logfile *l, unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++) {
		autofree char *line = xasprintf("%u\n", i);

		logfile_write(l, STREAM_STDOUT, line, strlen(line), MOMENT);
	}
}

static void local_torn(void **state)
{
	autologfile struct logfile *l = open_local(0, 1);
	struct stat st;

	(void)state;
	put_numbers(l, 1, 5000);
	l = logfile_free(l);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 3), 0);
	l = open_local(0, 1);
	expect_all(l, 1, 4999);
	put_numbers(l, 5000, 5001);
	expect_all(l, 1, 5001);
	l = logfile_free(l);
	/* Not even one. */
	assert_int_equal(truncate(path, 7), 0);
	l = open_local(0, 1);
	put_numbers(l, 1, 2);
	expect_all(l, 1, 2);
}

static void local_rotation(void **state)
{
	autologfile struct logfile *l = open_local(1000, 3);
	struct stat st;

	(void)state;
	put_numbers(l, 1, 200);
	expect_all(l, 103, 200);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 1100);
}

/* What was made elsewhere, in both forms. */
static void added(void **state)
{
	struct logentry e = {.stream = LOGENTRY_STDERR,
			     .time_ns = MOMENT,
			     .line = "x",
			     .len = 1,
			     .partial = true,
			     .ordinal = 1,
			     .id = "i",
			     .id_len = 1};
	autologfile struct logfile *l = open_log(0, 1);
	autofree char *text = NULL;
	size_t len;

	(void)state;
	logfile_add(l, &e);
	e.last = true;
	logfile_add(l, &e);
	logfile_flush(l);
	text = content("", &len);
	assert_string_equal(text, "{\"log\":\"x\",\"stream\":\"stderr\",\"time\":"
				  "\"2006-01-02T15:04:05.999Z\"}\n"
				  "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"time\":"
				  "\"2006-01-02T15:04:05.999Z\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exact_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(any_split, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(rotated_for_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(single_file_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_line, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test(each_byte_at_each_place),
		cmocka_unit_test(none),
		cmocka_unit_test_setup_teardown(local_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(local_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(local_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(added, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
