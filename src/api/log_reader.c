/* Reading logs, in the formats of json-file and local.
 *
 * Following is by inode: at the end of a file, `path` naming another one means that it was rotated.
 * Its successor is the file one number below the name that it has now.  Numbers may shift while we
 * look, so the name is checked again after the successor was opened.
 *
 * A compressed file is inflated into a nameless one and read there.  Its header says which inode was
 * compressed, and when (vessel-log writes "INODE MTIME" as the comment): by that we find the place of a
 * file again that was compressed while we read it.  An inode may have been used by several files, of
 * which the newest, with the lowest number, is ours: it cannot be used again while we hold it.
 */
#include "api/log_reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/log_line.h"
#include "base/file.h"
#include "base/log.h"
#include "base/logentry.h"
#include "base/str.h"
#include "store/compress.h"

#define READ_SIZE   ((size_t)128 << 10) /* bytes a read */
#define LINE_MAX_   ((size_t)4 << 20)   /* bytes; longer lines are skipped */
#define FILES_MAX   1000                /* rotated files looked for */
#define RETRIES     16                  /* rotations raced in a row */
#define COMMENT_MAX 64                  /* characters of a compressed file's comment */
#define GZIP_HEADER 10                  /* bytes before the comment, as vessel-log writes it */
#define WINDOW_MIN  ((size_t)256 << 10) /* bytes looked at from the end */

/* Which file it is. */
struct id {
	dev_t dev;
	ino_t ino; /* of what was compressed, if it is compressed and we know */
	char comment
		[COMMENT_MAX]; /* of a compressed one: "?" if it is none of ours; "" for others */
};

struct log_reader {
	char *path; /* owned */
	bool is_local;
	int fd;       /* owned; -EBADF before the first file is there */
	struct id id; /* of what it was opened from */
	off_t offset;
	char *buf; /* owned: [start, end) is unread */
	size_t start, end, cap;
	bool skipping; /* inside a line that is too long */
	struct strbuf text;
	struct strbuf attrs; /* of an entry of local, as JSON */
};

/* ---- the files ------------------------------------------------------------------------------ */

static char *numbered(const struct log_reader *r, unsigned i)
{
	return i == 0 ? xstrdup(r->path) : xasprintf("%s.%u", r->path, i);
}

static char *compressed(const struct log_reader *r, unsigned i)
{
	return xasprintf("%s.%u.gz", r->path, i);
}

static int open_log(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* The comment that vessel-log writes, which ends with NUL; "" for any other file. */
static void read_comment(int fd, char ret[static COMMENT_MAX])
{
	char head[GZIP_HEADER + COMMENT_MAX];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	ret[0] = '\0';
	if (n > GZIP_HEADER && head[3] == 0x10 /* FCOMMENT alone */ &&
	    memchr(head + GZIP_HEADER, '\0', (size_t)n - GZIP_HEADER))
		(void)str_copy(ret, COMMENT_MAX, head + GZIP_HEADER);
}

static bool identify(int fd, bool is_compressed, struct id *ret)
{
	autofree char *number = NULL;
	struct stat st;
	uint64_t ino;

	if (fstat(fd, &st) < 0)
		return false;
	*ret = (struct id){.dev = st.st_dev, .ino = st.st_ino};
	if (!is_compressed)
		return true;
	read_comment(fd, ret->comment);
	number = xstrndup(ret->comment, strcspn(ret->comment, " "));
	if (str_parse_u64(number, &ino) == 0)
		ret->ino = ino;
	else
		(void)str_copy(ret->comment, COMMENT_MAX, "?");
	return true;
}

/* Is file i the one that `id` is of? */
static bool is_file(const struct log_reader *r, unsigned i, const struct id *id)
{
	autofree char *path = numbered(r, i), *gz = compressed(r, i);
	autoclose int fd = -EBADF;
	struct id other;
	struct stat st;

	if (!*id->comment && stat(path, &st) == 0)
		return st.st_ino == id->ino && st.st_dev == id->dev;
	if (i == 0)
		return false;
	fd = open_log(gz);
	if (fd < 0 || !identify(fd, true, &other) || other.dev != id->dev)
		return false;
	return other.ino == id->ino && (!*id->comment || strcmp(other.comment, id->comment) == 0);
}

static bool exists(const struct log_reader *r, unsigned i)
{
	autofree char *path = numbered(r, i), *gz = i > 0 ? compressed(r, i) : NULL;

	return access(path, F_OK) == 0 || (gz && access(gz, F_OK) == 0);
}

/* What is in a compressed file, or in its undamaged beginning, in one without a name beside it. */
static int inflate_file(const struct log_reader *r, int in, struct error *err)
{
	autofree char *dir = xstrndup(r->path, (size_t)(strrchr(r->path, '/') - r->path));
	const struct stream_reader reader = stream_reader_fd(&in);
	autodecompress struct decompress *d = NULL;
	autofree char *buf = xcalloc(READ_SIZE, 1);
	autoclose int out = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	autoerror struct error why = {0};
	struct stream_reader plain;
	ssize_t n;
	int rc;

	if (out < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inflate a log in '%s'", dir);
	rc = decompress_new(&reader, &d, err);
	if (rc < 0)
		return rc;
	plain = decompress_reader(d);
	while ((n = plain.read(plain.data, buf, READ_SIZE, &why)) > 0) {
		rc = fd_write_full(out, buf, (size_t)n);
		if (rc < 0)
			return error_set(err, ERROR_INTERNAL, -rc, "inflate a log in '%s'", dir);
	}
	if (n < 0)
		log_warn("log in '%s': %s", dir, error_msg(&why));
	return TAKE_FD(out);
}

/* File i, compressed or not; -ENOENT. */
static int open_numbered(const struct log_reader *r, unsigned i, struct id *ret_id)
{
	autofree char *path = numbered(r, i), *gz = compressed(r, i);
	autoerror struct error err = {0};
	autoclose int fd = open_log(path);
	int out;

	if (fd >= 0)
		return identify(fd, false, ret_id) ? TAKE_FD(fd) : -EIO;
	if (i == 0 || fd != -ENOENT)
		return fd;
	fd = open_log(gz);
	if (fd < 0)
		return fd;
	if (!identify(fd, true, ret_id))
		return -EIO;
	out = inflate_file(r, fd, &err);
	if (out < 0)
		log_warn("log '%s': %s", gz, error_msg(&err));
	return out;
}

/* The oldest file's number. */
static unsigned oldest(const struct log_reader *r)
{
	unsigned i = 0;

	while (i < FILES_MAX && exists(r, i + 1))
		i++;
	return i;
}

static void use(struct log_reader *r, int fd, const struct id *id)
{
	fd_close(&r->fd);
	r->fd = fd;
	r->id = *id;
	r->offset = 0;
	r->start = r->end = 0;
	r->skipping = false;
}

/* Open the first file that there is.  False if there is none. */
static bool open_oldest(struct log_reader *r)
{
	for (unsigned tries = 0; tries < RETRIES; tries++) {
		struct id id = {0};
		int fd = open_numbered(r, oldest(r), &id);

		if (fd >= 0) {
			use(r, fd, &id);
			return true;
		}
		if (!exists(r, 0) && !exists(r, 1))
			return false;
	}
	return false;
}

/* Go to the file that follows the one being read; false if there is none (yet). */
static bool open_next(struct log_reader *r)
{
	for (unsigned tries = 0; tries < RETRIES; tries++) {
		unsigned i = 0, last = oldest(r);
		struct id id = {0};
		int fd;

		while (i <= last && !is_file(r, i, &r->id))
			i++;
		if (i == 0)
			return false; /* it is still the newest */
		if (i > last)
			return open_oldest(r); /* it is deleted, and so may be others behind it */
		fd = open_numbered(r, i - 1, &id);
		if (fd >= 0 && is_file(r, i, &r->id)) {
			use(r, fd, &id);
			return true;
		}
		fd_close(&fd);
	}
	return false;
}

/* ---- reading forward ------------------------------------------------------------------------ */

/* Bytes read; 0 at the end. */
static size_t fill(struct log_reader *r)
{
	ssize_t n;

	if (r->start > 0) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->end >= LINE_MAX_) { /* no line that we could take */
		r->end = 0;
		r->skipping = true;
	}
	if (r->cap - r->end < READ_SIZE) {
		r->cap = r->end + READ_SIZE > 2 * r->cap ? r->end + READ_SIZE : 2 * r->cap;
		r->buf = xrealloc(r->buf, r->cap, 1);
	}
	n = pread(r->fd, r->buf + r->end, READ_SIZE, r->offset);
	if (n <= 0)
		return 0;
	r->offset += n;
	r->end += (size_t)n;
	return (size_t)n;
}

/* The next whole line in the buffer. */
static bool next_line(struct log_reader *r, size_t *scanned, const char **ret, size_t *ret_len)
{
	char *line = r->buf + r->start, *nl;

	if (r->end == r->start)
		return false;
	if (*scanned > r->end - r->start)
		*scanned = 0; /* a line that was too long has been dropped */
	nl = memchr(line + *scanned, '\n', r->end - r->start - *scanned);
	if (!nl) {
		*scanned = r->end - r->start;
		return false;
	}
	*ret = line;
	*ret_len = (size_t)(nl - line);
	r->start += *ret_len + 1;
	*scanned = 0;
	return true;
}

/* The whole of an entry in the buffer; false: more has to be read. */
static bool next_local(struct log_reader *r, struct log_entry *ret)
{
	struct logentry_attr attr;
	struct json_writer w;
	struct logentry e;
	size_t pos = 0;
	ssize_t n = r->end > r->start ? logentry_next(r->buf + r->start, r->end - r->start, &e) : 0;

	if (n < 0)
		r->start = r->end; /* damaged: what follows cannot be found */
	if (n <= 0)
		return false;
	r->start += (size_t)n;
	strbuf_reset(&r->text);
	strbuf_add(&r->text, e.line, e.len);
	if (!e.partial || e.last)
		strbuf_addc(&r->text, '\n');
	*ret = (struct log_entry){
		.stream = e.stream == LOGENTRY_STDERR ? LOG_STDERR : LOG_STDOUT,
		.text = r->text.s,
		.len = r->text.len,
		.time_ns = e.time_ns,
	};
	if (e.attrs_len == 0)
		return true;
	strbuf_reset(&r->attrs);
	json_writer_init(&w, &r->attrs);
	jw_object(&w);
	while (logentry_attr_next(&e, &pos, &attr)) {
		autofree char *key = xstrndup(attr.key, attr.key_len);

		jw_key(&w, key);
		jw_stringn(&w, attr.value, attr.value_len);
	}
	jw_object_end(&w);
	ret->attrs = r->attrs.s;
	ret->attrs_len = r->attrs.len;
	return true;
}

static bool next_json(struct log_reader *r, size_t *scanned, struct log_entry *ret)
{
	const char *line;
	size_t len;

	while (next_line(r, scanned, &line, &len)) {
		bool skip = r->skipping;

		r->skipping = false;
		if (!skip && log_entry_parse(line, len, &r->text, ret))
			return true;
	}
	return false;
}

int log_reader_next(struct log_reader *r, struct log_entry *ret)
{
	size_t scanned = 0;

	if (r->fd < 0 && !open_oldest(r))
		return 0;
	for (;;) {
		if (r->is_local ? next_local(r, ret) : next_json(r, &scanned, ret))
			return 1;
		if (fill(r) > 0)
			continue;
		scanned = 0;
		/* What was written between that and the rotation has to be read first. */
		if (is_file(r, 0, &r->id))
			return 0;
		if (fill(r) > 0)
			continue;
		if (!open_next(r))
			return 0;
	}
}

/* ---- the last lines ------------------------------------------------------------------------- */

struct tail {
	uint64_t wanted, found;
	bool any; /* an entry was seen */
	bool done;
	off_t start; /* of the last lines, in the file being looked at */
};

/* Entries of buf from the last whole one back.  `base` is its offset.  Returns where the first of them
 * begins; *len becomes where the last one ends.  -EBADMSG where the file is damaged. */
typedef ssize_t (*count_fn)(struct tail *t, const char *buf, size_t *len, off_t base);

static ssize_t count_back_json(struct tail *t, const char *buf, size_t *len, off_t base)
{
	size_t end;

	/* Only the very end can be in the middle of a line. */
	while (*len > 0 && buf[*len - 1] != '\n')
		(*len)--;
	end = *len;

	while (end > 0) {
		const char *nl = memrchr(buf, '\n', end - 1);
		size_t start = nl ? (size_t)(nl - buf) + 1 : 0;

		if (!nl && base > 0)
			break; /* its beginning is not in the buffer */
		if (log_line_ends(buf + start, end - 1 - start) || !t->any) {
			if (t->found == t->wanted) {
				t->done = true;
				t->start = base + (off_t)end;
				return (ssize_t)end;
			}
			t->found++;
		}
		t->any = true;
		end = start;
	}
	return (ssize_t)end;
}

/* Entries have the size before and behind them, so a window's beginning may be anywhere. */
static ssize_t count_back_local(struct tail *t, const char *buf, size_t *len, off_t base)
{
	size_t end = *len;

	while (end > 0) {
		ssize_t n = logentry_before(buf, end);
		struct logentry e;

		if (n < 0)
			return n;
		if (n == 0)
			break; /* its beginning is not in the buffer */
		if (logentry_next(buf + end - n, (size_t)n, &e) <= 0)
			return -EBADMSG;
		if (!e.partial || e.last || !t->any) {
			if (t->found == t->wanted) {
				t->done = true;
				t->start = base + (off_t)end;
				return (ssize_t)end;
			}
			t->found++;
		}
		t->any = true;
		end -= (size_t)n;
	}
	return (ssize_t)end;
}

static void tail_file(struct tail *t, int fd, count_fn count)
{
	size_t window = WINDOW_MIN;
	autofree char *buf = NULL;
	struct stat st;
	off_t hi;

	t->start = 0;
	if (fstat(fd, &st) < 0)
		return;
	hi = st.st_size;
	while (hi > 0 && !t->done) {
		off_t lo = hi > (off_t)window ? hi - (off_t)window : 0;
		size_t len = (size_t)(hi - lo);
		ssize_t left;

		buf = xrealloc(buf, window, 1);
		left = pread(fd, buf, len, lo) < (ssize_t)len ? -EIO : count(t, buf, &len, lo);
		if (left < 0) { /* only what follows the damage can be read */
			t->start = hi;
			return;
		}
		if (t->done)
			return;
		if ((size_t)left == len) { /* an entry longer than the window */
			if (window > LINE_MAX_ || lo == 0)
				return;
			window *= 2;
			if (len == 0)
				continue;
		}
		hi = lo + (off_t)left;
	}
}

void log_reader_tail(struct log_reader *r, uint64_t n)
{
	struct tail t = {.wanted = n};
	unsigned last = oldest(r);

	for (unsigned i = 0; i <= last; i++) {
		struct id id = {0};
		int fd = open_numbered(r, i, &id);

		if (fd < 0)
			continue;
		tail_file(&t, fd, r->is_local ? count_back_local : count_back_json);
		use(r, fd, &id);
		r->offset = t.start;
		if (t.done)
			return;
	}
}

struct log_reader *log_reader_new(const char *path, bool is_local)
{
	struct log_reader *r = xnew0(struct log_reader);

	r->path = xstrdup(path);
	r->fd = -EBADF;
	r->is_local = is_local;
	strbuf_init(&r->text, LINE_MAX_);
	strbuf_init(&r->attrs, LINE_MAX_);
	return r;
}

struct log_reader *log_reader_free(struct log_reader *r)
{
	if (r) {
		fd_close(&r->fd);
		strbuf_done(&r->text);
		strbuf_done(&r->attrs);
		free(r->buf);
		free(r->path);
		free(r);
	}
	return NULL;
}
