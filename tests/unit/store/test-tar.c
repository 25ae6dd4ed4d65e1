/* The tar parser against the archives of GNU tar and bsdtar, and against bad ones. */
#include "fixture.h"

#include <sys/xattr.h>

#include "base/spawn.h"
#include "store/tar.h"

#define ARCHIVE_MAX (64 << 20)

struct dir {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct dir *d = xnew0(struct dir);

	(void)snprintf(d->path, sizeof(d->path), "/tmp/vessel-tar-XXXXXX");
	assert_non_null(mkdtemp(d->path));
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;

	fd_close(&d->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, d->path, NULL), 0);
	free(d);
	return 0;
}

static void write_file(struct dir *d, const char *name, const void *data, size_t len)
{
	assert_int_equal(file_write_atomic(d->fd, name, data, len, 0644, 0, NULL), 0);
}

static void run(struct dir *d, const char *command)
{
	autofree char *script = xasprintf("cd '%s' && %s", d->path, command);
	const char *const argv[] = {"sh", "-c", script, NULL};
	const struct spawn_args args = {.path = "/bin/sh", .exec_fd = -1, .argv = argv};
	autofree char *output = NULL;
	int status = -1;

	assert_int_equal(spawn_run(&args, 65536, &output, &status, NULL), 0);
	if (status != 0)
		fail_msg("'%s' failed with %d", command, status);
}

static char *read_archive(struct dir *d, const char *name, size_t *ret_len)
{
	char *data = NULL;
	struct error err = {0};

	assert_ok(file_read(d->fd, name, ARCHIVE_MAX, &data, ret_len, &err), &err);
	return data;
}

/* Everything the parser says, as lines. */
static int describe(const void *p, size_t len, struct strbuf *out, struct error *err)
{
	struct stream_memory m = {.p = p, .len = len};
	struct stream_reader in = stream_reader_memory(&m);
	struct tar *t = tar_new(&in, NULL, NULL);
	const struct tar_entry *e;
	int r;

	while ((r = tar_next(t, &e, err)) > 0) {
		const void *data;
		uint64_t sum = 0;
		ssize_t n;

		while ((n = tar_read(t, 1000, &data, err)) > 0)
			for (ssize_t i = 0; i < n; i++)
				sum = sum * 31 + ((const unsigned char *)data)[i];
		if (n < 0) {
			r = (int)n;
			break;
		}
		strbuf_addf(out, "%u %s|%s %o %u:%u %lld %lld %llx %lld.%09ld", e->type, e->path,
			    e->link, e->mode, e->uid, e->gid, (long long)e->size,
			    (long long)e->stored_size, (unsigned long long)sum,
			    (long long)e->mtime.tv_sec, e->mtime.tv_nsec);
		for (size_t i = 0; i < e->n_xattrs; i++)
			strbuf_addf(out, " %s=%.*s", e->xattrs[i].name, (int)e->xattrs[i].len,
				    (const char *)e->xattrs[i].value);
		for (size_t i = 0; i < e->n_pieces; i++)
			strbuf_addf(out, " [%lld+%lld]", (long long)e->pieces[i].offset,
				    (long long)e->pieces[i].len);
		strbuf_addc(out, '\n');
	}
	(void)tar_free(t);
	return r;
}

static void make_tree(struct dir *d)
{
	char name[300];

	run(d, "mkdir -p t/sub t/empty && ln -s sub/x t/link && mkfifo t/fifo && chmod 4755 t/sub");
	write_file(d, "t/sub/x", "content", 7);
	run(d, "ln t/sub/x t/hard && touch -d '2001-02-03 04:05:06.789123456' t/sub/x");
	memset(name, 'n', sizeof(name));
	memcpy(name, "t/", 2);
	name[200] = '\0';
	write_file(d, name, "long", 4);
	run(d, "mkdir -p t/$(printf 'd%.0s' $(seq 90))/$(printf 'e%.0s' $(seq 90)) &&"
	       " echo deep > t/$(printf 'd%.0s' $(seq 90))/$(printf 'e%.0s' $(seq 90))/f &&"
	       " ln -s $(printf 'l%.0s' $(seq 150)) t/longlink");
}

/* All dialects tell the same of one tree. */
static void test_dialects_agree(void **state)
{
	static const char *const programs[] = {
		"tar -c --sort=name --format=gnu -f a.tar t",
		"tar -c --sort=name --format=posix -f a.tar t",
		"tar -c --sort=name --format=oldgnu -f a.tar t",
		"tar -c --sort=name --format=posix t | bsdtar -c --format=pax -f a.tar @-",
		"tar -c --sort=name --format=gnu t | bsdtar -c --format=gnutar -f a.tar @-",
	};
	struct dir *d = *state;
	struct strbuf first = STRBUF_INIT(1 << 20);

	make_tree(d);
	run(d, "find t -exec touch -h -d '2001-02-03 04:05:06' {} +");
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct strbuf now = STRBUF_INIT(1 << 20);
		struct error err = {0};
		char *data;
		size_t len;

		run(d, programs[i]);
		data = read_archive(d, "a.tar", &len);
		assert_ok(describe(data, len, &now, &err), &err);
		assert_true(now.len > 500);
		if (i == 0)
			strbuf_add(&first, now.s, now.len);
		else
			assert_string_equal(now.s, first.s);
		strbuf_done(&now);
		free(data);
	}
	assert_non_null(strstr(first.s, "1 t/sub/x|t/hard") ? first.s
							    : strstr(first.s, "1 t/hard|t/sub/x"));
	strbuf_done(&first);
}

static void test_names_are_bytes(void **state)
{
	struct dir *d = *state;
	struct strbuf out = STRBUF_INIT(1 << 20);
	struct error err = {0};
	char *data;
	size_t len;

	write_file(d, "not\377utf8", "x", 1);
	run(d, "tar -c --format=posix -f a.tar not*");
	data = read_archive(d, "a.tar", &len);
	assert_ok(describe(data, len, &out, &err), &err);
	assert_non_null(strstr(out.s, "0 not\377utf8|"));
	free(data);
	strbuf_done(&out);
}

static void test_pax_fractions_and_xattrs(void **state)
{
	struct dir *d = *state;
	struct strbuf out = STRBUF_INIT(1 << 20);
	struct error err = {0};
	char *data, *path;
	size_t len;

	write_file(d, "f", "x", 1);
	path = xasprintf("%s/f", d->path);
	run(d, "touch -d '1969-12-31 23:59:58.25 UTC' f");
	if (setxattr(path, "user.test", "a=b\nc", 5, 0) < 0) {
		free(path);
		skip(); /* this file system has no user attributes */
	}
	run(d, "tar -c --format=posix --xattrs -f a.tar f");
	data = read_archive(d, "a.tar", &len);
	assert_ok(describe(data, len, &out, &err), &err);
	if (!strstr(out.s, " -2.250000000 user.test=a=b\nc"))
		fail_msg("%s", out.s);
	free(data);
	strbuf_reset(&out);
	/* libarchive writes negative times wrong. */
	run(d, "touch -d '2001-02-03 04:05:06.25 UTC' f && bsdtar -c --format=pax --xattrs -f "
	       "a.tar f");
	data = read_archive(d, "a.tar", &len);
	assert_ok(describe(data, len, &out, &err), &err);
	assert_non_null(strstr(out.s, " 981173106.250000000 user.test=a=b\nc"));
	free(data);
	free(path);
	strbuf_done(&out);
}

static void test_sparse_formats(void **state)
{
	static const char *const formats[] = {"--format=gnu", "--format=posix --sparse-version=0.0",
					      "--format=posix --sparse-version=0.1",
					      "--format=posix --sparse-version=1.0"};
	struct dir *d = *state;
	struct strbuf script = STRBUF_INIT(65536);

	/* More pieces than the header (4) and one extension (21) hold; a hole at the end. */
	for (int i = 0; i < 40; i++)
		strbuf_addf(&script,
			    "printf 'piece%d' | dd of=s bs=4096 seek=%d conv=notrunc "
			    "status=none; ",
			    i, i * 3);
	strbuf_adds(&script, "truncate -s 1000000 s");
	run(d, script.s);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		autofree char *command = xasprintf("tar -c -S %s -f a.tar s", formats[i]);
		struct strbuf out = STRBUF_INIT(1 << 20);
		struct error err = {0};
		char *data;
		size_t len;

		run(d, command);
		data = read_archive(d, "a.tar", &len);
		assert_true(len < 500000);
		assert_ok(describe(data, len, &out, &err), &err);
		assert_true(str_has_prefix(out.s, "0 s| "));
		assert_non_null(strstr(out.s, " 1000000 "));
		assert_non_null(strstr(out.s, " [12288+"));
		free(data);
		strbuf_done(&out);
	}
	strbuf_done(&script);
}

/* ---- bad ones ---- */

static void expect_bad(const struct strbuf *b, const char *part)
{
	struct strbuf out = STRBUF_INIT(1 << 20);
	struct error err = {0};

	assert_true(describe(b->s, b->len, &out, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(error_msg(&err), part))
		fail_msg("'%s' lacks '%s'", error_msg(&err), part);
	error_done(&err);
	strbuf_done(&out);
}

static void fix_checksum(char *h)
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
}

static void add_pax(struct strbuf *b, const char *records, size_t len)
{
	size_t at = b->len;

	tar_add(b, &(struct tar_entry){.type = TAR_FILE, .path = "pax", .size = (int64_t)len},
		records);
	b->s[at + 156] = 'x';
	fix_checksum(b->s + at);
}

/* What is written sparse is read as such, by GNU tar and Python too. */
static void test_sparse_written(void **state)
{
	static const struct tar_piece pieces[] = {{0, 512}, {1 << 20, 3}, {2 << 20, 0}};
	struct dir *d = *state;
	struct strbuf tar = STRBUF_INIT(1 << 20), text = STRBUF_INIT(4096);
	struct stream_writer out = strbuf_writer(&tar);
	const struct tar_entry e = {.type = TAR_FILE,
				    .path = "a/sparse",
				    .link = "",
				    .mode = 0644,
				    .size = 2 << 20,
				    .stored_size = 515,
				    .sparse = true,
				    .pieces = pieces,
				    .n_pieces = ARRAY_SIZE(pieces)};
	struct error err = {0};

	assert_ok(tar_write_header(&out, &e, &err), &err);
	strbuf_addf(&tar, "%-512s", "head.");
	strbuf_adds(&tar, "end");
	assert_ok(tar_write_pad(&out, 515, &err), &err);
	tar_add_file(&tar, "b", "next");
	tar_add_end(&tar);
	assert_ok(describe(tar.s, tar.len, &text, &err), &err);
	assert_non_null(strstr(text.s, "a/sparse| 644 0:0 2097152 515 "));
	assert_non_null(strstr(text.s, " [0+512] [1048576+3]"));
	write_file(d, "w.tar", tar.s, tar.len);
	run(d, "tar -xf w.tar && test $(stat -c %s a/sparse) = 2097152 && test $(cat b) = next &&"
	       " test $(tr -d '\\0 ' < a/sparse) = head.end &&"
	       " test $(tail -c +1048577 a/sparse | head -c 3) = end");
	strbuf_done(&text);
	strbuf_done(&tar);
}

static void test_bad_headers(void **state)
{
	struct strbuf b = STRBUF_INIT(1 << 20);

	(void)state;
	tar_add_file(&b, "f", "content");
	b.s[0] ^= 1;
	expect_bad(&b, "bad checksum");
	b.s[0] ^= 1;
	b.len -= 600;
	expect_bad(&b, "truncated");

	strbuf_reset(&b);
	tar_add_file(&b, "f", "content");
	memcpy(b.s + 124, "0000000009z", 11); /* size */
	fix_checksum(b.s);
	expect_bad(&b, "bad size");
	memset(b.s + 124, 0xff, 12); /* base 256: -1 */
	fix_checksum(b.s);
	expect_bad(&b, "out of range");
	memcpy(b.s + 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	fix_checksum(b.s);
	expect_bad(&b, "out of range");
	memcpy(b.s + 124, "\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12);
	fix_checksum(b.s);
	expect_bad(&b, "bad size");
	strbuf_reset(&b);
	tar_add_file(&b, "f", "content");
	b.s[156] = 'Q';
	fix_checksum(b.s);
	expect_bad(&b, "unknown type 'Q'");
	b.s[156] = '0';
	b.s[0] = '\0';
	fix_checksum(b.s);
	expect_bad(&b, "empty path");

	/* One zero block and then more. */
	strbuf_reset(&b);
	tar_add_file(&b, "f", "content");
	memset(strbuf_reserve(&b, 512), 0, 512);
	strbuf_advance(&b, 512);
	tar_add_file(&b, "g", "content");
	expect_bad(&b, "lone zero block");
	strbuf_done(&b);
}

/* "key=value" becomes a record with its length in front. */
static void add_record(struct strbuf *b, const char *record)
{
	size_t rest = strlen(record) + 2, len = rest + 1;

	while (rest + (size_t)snprintf(NULL, 0, "%zu", len) != len)
		len++;
	strbuf_addf(b, "%zu %s\n", len, record);
}

static void test_bad_pax_records(void **state)
{
	static const struct {
		const char *records, *part;
	} cases[] = {
		{"11 path=a\n", "bad length"},
		{"8 path=a\n", "bad length"},
		{"999999999999999999999 path=a\n", "bad length"},
		{"-1 path=a\n", "bad length"},
		{"8 patha\n", "without a keyword"},
		{"5 =a\n", "without a keyword"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf b = STRBUF_INIT(1 << 20);

		add_pax(&b, cases[i].records, strlen(cases[i].records));
		tar_add_file(&b, "f", "content");
		tar_add_end(&b);
		expect_bad(&b, cases[i].part);
		strbuf_done(&b);
	}
}

/* What the parser makes of a file of seven bytes with these keywords. */
static void check_keywords(const char *const *keywords, const char *bad, const char *good)
{
	struct strbuf b = STRBUF_INIT(1 << 20), records = STRBUF_INIT(65536);
	struct strbuf out = STRBUF_INIT(1 << 20);
	struct error err = {0};

	for (; *keywords; keywords++)
		add_record(&records, *keywords);
	add_pax(&b, records.s, records.len);
	tar_add_file(&b, "f", "content");
	tar_add_end(&b);
	if (bad) {
		expect_bad(&b, bad);
	} else {
		assert_ok(describe(b.s, b.len, &out, &err), &err);
		if (!strstr(out.s, good))
			fail_msg("'%s' lacks '%s'", out.s, good);
	}
	strbuf_done(&out);
	strbuf_done(&records);
	strbuf_done(&b);
}

static void test_pax_keywords(void **state)
{
	static const struct {
		const char *keywords[4];
		const char *bad, *good;
	} cases[] = {
		{{"path=a/b"}, NULL, "0 a/b|"},
		{{"path=a", "path=b"}, NULL, "0 b|"},
		{{"path=a", "path="}, NULL, "0 f|"}, /* taken back */
		{{"uid=4294967294", "gid=5000000"}, NULL, " 4294967294:5000000 "},
		{{"uid=4294967295"}, "out of range", NULL},
		{{"size=-1"}, "out of range", NULL},
		{{"uid=x1"}, "bad value", NULL},
		{{"mtime=-1.75"}, NULL, " -2.250000000\n"},
		{{"mtime=1.0000000019"}, NULL, " 1.000000001\n"},
		{{"mtime=1.x"}, "bad value", NULL},
		{{"LIBARCHIVE.xattr.user.a%3Db=aGk="}, NULL, " user.a=b=hi\n"},
		{{"LIBARCHIVE.xattr.user.a=!"}, "bad value", NULL},
		{{"GNU.sparse.numbytes=10"}, "bad value", NULL},
		{{"GNU.sparse.map=0,1,2,3,4,5,6"}, "bad value", NULL},
		{{"GNU.sparse.map=0,4,2,3", "GNU.sparse.size=9"}, "not ascending", NULL},
		{{"GNU.sparse.map=0,4,8,3", "GNU.sparse.size=9"}, "not ascending", NULL},
		{{"GNU.sparse.map=0,4,6,1", "GNU.sparse.size=9"}, "stored", NULL},
		{{"GNU.sparse.map=0,4,6,3", "GNU.sparse.size=9"}, NULL, " 9 7 "},
		{{"GNU.sparse.map=0,7", "GNU.sparse.size=99999999999999999"}, "out of range", NULL},
		{{"GNU.sparse.major=1", "GNU.sparse.minor=0"}, "bad number", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_keywords(cases[i].keywords, cases[i].bad, cases[i].good);
}

static void test_pax_limits(void **state)
{
	struct strbuf b = STRBUF_INIT(8 << 20), record = STRBUF_INIT(4 << 20);

	(void)state;
	/* A path with a NUL in it, and one that is too long. */
	add_pax(&b, "12 path=a\0b\n", 12);
	tar_add_file(&b, "f", "content");
	expect_bad(&b, "NUL byte");
	strbuf_reset(&b);
	strbuf_adds(&record, "5011 path=");
	for (int i = 0; i < 5000; i++)
		strbuf_addc(&record, 'p');
	strbuf_addc(&record, '\n');
	add_pax(&b, record.s, record.len);
	tar_add_file(&b, "f", "content");
	expect_bad(&b, "longer than 4095");
	/* An extended header of two megabytes, and one that nothing follows. */
	strbuf_reset(&b);
	for (int i = 0; i < 2 << 20; i++)
		strbuf_addc(&record, 'q');
	add_pax(&b, record.s, record.len);
	expect_bad(&b, "more than 1048576");
	strbuf_reset(&b);
	add_pax(&b, "10 path=a\n", 10);
	tar_add_end(&b);
	expect_bad(&b, "nothing follows");
	strbuf_done(&record);
	strbuf_done(&b);
}

/* Whatever the reader's portions are, the same comes out. */
struct dribble {
	const char *p;
	size_t len, step;
};

static ssize_t dribble_read(void *data, void *buf, size_t size, struct error *err)
{
	struct dribble *d = data;
	size_t n = d->step < size ? d->step : size;

	(void)err;
	n = n < d->len ? n : d->len;
	memcpy(buf, d->p, n);
	d->p += n;
	d->len -= n;
	return (ssize_t)n;
}

static int copy_raw(void *data, const void *p, size_t len, struct error *err)
{
	(void)err;
	strbuf_add(data, p, len);
	return 0;
}

static void test_raw_bytes_and_contents_make_the_archive(void **state)
{
	static const size_t steps[] = {1, 511, 512, 513, 100000};
	struct dir *d = *state;
	char *data;
	size_t len;

	make_tree(d);
	run(d, "truncate -s 100000 t/s && printf x | dd of=t/s bs=1 seek=50000 conv=notrunc "
	       "status=none");
	run(d, "tar -c -S --format=posix -f a.tar t && printf trailing >> a.tar");
	data = read_archive(d, "a.tar", &len);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct dribble from = {.p = data, .len = len, .step = steps[i]};
		struct stream_reader in = {.read = dribble_read, .data = &from};
		struct strbuf all = STRBUF_INIT(ARCHIVE_MAX);
		struct tar *t = tar_new(&in, copy_raw, &all);
		const struct tar_entry *e;
		struct error err = {0};
		const void *p;
		ssize_t n;
		int r;

		while ((r = tar_next(t, &e, &err)) > 0)
			while ((n = tar_read(t, 777, &p, &err)) > 0)
				strbuf_add(&all, p, (size_t)n);
		assert_ok(r, &err);
		assert_int_equal(all.len, len);
		assert_memory_equal(all.s, data, len);
		(void)tar_free(t);
		strbuf_done(&all);
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dialects_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pax_fractions_and_xattrs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_are_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sparse_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sparse_written, setup, teardown),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_bad_pax_records),
		cmocka_unit_test(test_pax_keywords),
		cmocka_unit_test(test_pax_limits),
		cmocka_unit_test_setup_teardown(test_raw_bytes_and_contents_make_the_archive, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
