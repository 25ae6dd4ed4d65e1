/* The json-file log driver.
 *
 * Output comes in reads of up to 64 KiB.  All lines of a read share one time stamp and are encoded
 * into one buffer, which is written when it is full or the read is done; so a read costs one write.
 * The buffer exists only while output flows (logfile_trim).
 *
 * Files are numbered by generations: rotation makes the present file generation g, renames it to
 * <path>.1, and generation g+1 becomes <path>.  A reader that holds generation g open finds the next
 * one under the suffix that the distance to the newest gives.
 */
#include "shim/logfile.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

#define FLUSH_SIZE  65536
#define READER_SIZE 65536

struct logfile {
	char *path;    /* owned */
	int fd;        /* owned; -EBADF when the file could not be opened after a rotation */
	uint64_t size; /* bytes in the present file */
	uint64_t max_size;
	uint32_t max_file;
	uint64_t generation; /* of the present file; the oldest found at the start is not below 0 */
	char *attrs;         /* owned; JSON, or NULL */
	struct strbuf unfinished[STREAM_KIND_COUNT];
	char *buf; /* owned mapping of buf_size bytes, or NULL */
	size_t buf_size, buf_len, buf_lines;
	uint64_t dropped;
	bool failing; /* the failure has been reported */
};

/* The name of the file `back` rotations ago, owned by the caller. */
static char *file_name(const struct logfile *l, uint64_t back)
{
	return back == 0 ? xstrdup(l->path)
			 : xasprintf("%s.%llu", l->path, (unsigned long long)back);
}

static int open_file(struct logfile *l, int flags)
{
	struct stat st;

	l->fd = open(l->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return -errno;
	l->size = (uint64_t)st.st_size;
	return 0;
}

/* A shim that was killed, or a power loss, may have left half a line: cut it off. */
static void cut_torn_line(struct logfile *l)
{
	autofree char *end = NULL;
	size_t n = l->buf_size < l->size ? l->buf_size : (size_t)l->size;
	const char *lf;
	char last;

	if (l->size == 0 || pread(l->fd, &last, 1, (off_t)l->size - 1) != 1 || last == '\n')
		return;
	end = xcalloc(n, 1);
	if (pread(l->fd, end, n, (off_t)(l->size - n)) != (ssize_t)n)
		return;
	lf = memrchr(end, '\n', n);
	n -= lf ? (size_t)(lf + 1 - end) : 0;
	if (ftruncate(l->fd, (off_t)(l->size - n)) == 0)
		l->size -= n;
}

int logfile_open(const struct shim_log *log, struct logfile **ret, struct error *err)
{
	autologfile struct logfile *l = NULL;
	size_t tail = 0;
	int r;

	if (str_eq(log->type, "none")) {
		*ret = NULL;
		return 0;
	}

	l = xnew0(struct logfile);
	l->fd = -EBADF;
	l->path = xstrdup(log->path);
	l->max_size = log->max_size;
	l->max_file = log->max_file;
	l->generation = log->max_file;
	for (size_t i = 0; i < STREAM_KIND_COUNT; i++)
		strbuf_init(&l->unfinished[i], LOGLINE_MAX);
	if (json_count(log->attrs) > 0) {
		autostrbuf struct strbuf attrs = STRBUF_INIT(SHIM_MESSAGE_MAX * 4);
		struct json_writer w;

		json_writer_init(&w, &attrs);
		jw_value(&w, log->attrs);
		if (strbuf_error(&attrs) < 0)
			return error_set(err, ERROR_INVALID, E2BIG, "the log's attributes");
		tail = attrs.len;
		l->attrs = strbuf_take(&attrs);
	}
	l->buf_size = FLUSH_SIZE + LOGLINE_ROOM(LOGLINE_MAX, tail + 128);

	r = open_file(l, 0);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "open the log '%s'", log->path);
	cut_torn_line(l);
	*ret = TAKE_PTR(l);
	return 0;
}

struct logfile *logfile_free(struct logfile *l)
{
	if (!l)
		return NULL;
	logfile_trim(l);
	for (size_t i = 0; i < STREAM_KIND_COUNT; i++)
		strbuf_done(&l->unfinished[i]);
	fd_close(&l->fd);
	free(l->attrs);
	free(l->path);
	free(l);
	return NULL;
}

static void report_failure(struct logfile *l, int errnum)
{
	char what[128];

	if (l->failing)
		return;
	l->failing = true;
#ifdef __GLIBC__
	log_warn("write the log '%s': %s; lines are dropped", l->path,
		 strerror_r(errnum, what, sizeof(what)));
#else
	if (strerror_r(errnum, what, sizeof(what)) != 0)
		what[0] = '\0';
	log_warn("write the log '%s': %s; lines are dropped", l->path, what);
#endif
}

/* Write the buffer.  On failure the file is cut back to its last whole line. */
static void flush(struct logfile *l)
{
	size_t done = 0, whole;
	int errnum = 0;

	while (done < l->buf_len && l->fd >= 0) {
		ssize_t n = write(l->fd, l->buf + done, l->buf_len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errnum = n < 0 ? errno : EIO;
			break;
		}
		done += (size_t)n;
	}
	if (done == l->buf_len) {
		l->size += done;
		l->failing = l->failing && done == 0;
	} else {
		const char *end = done > 0 ? memrchr(l->buf, '\n', done) : NULL;

		whole = end ? (size_t)(end + 1 - l->buf) : 0;
		for (const char *p = l->buf + whole; p < l->buf + l->buf_len; p++)
			l->dropped += *p == '\n';
		if (whole < done && ftruncate(l->fd, (off_t)(l->size + whole)) < 0)
			log_debug("cut the torn line off the log: %m"); /* best effort */
		l->size += whole;
		report_failure(l, errnum ? errnum : EBADF);
	}
	l->buf_len = 0;
}

/* The present file becomes <path>.1, the oldest goes.  Readers keep what they have open. */
static void rotate(struct logfile *l)
{
	int r;

	fd_close(&l->fd);
	for (uint64_t back = l->max_file - 1; back > 0; back--) {
		autofree char *from = file_name(l, back - 1), *to = file_name(l, back);

		if (rename(from, to) < 0 && errno != ENOENT)
			report_failure(l, errno);
	}
	if (l->max_file == 1 && unlink(l->path) < 0 && errno != ENOENT)
		report_failure(l, errno);
	l->generation++;

	r = open_file(l, O_TRUNC);
	if (r < 0)
		report_failure(l, -r);
}

static void put_line(struct logfile *l, const char *text, size_t len, bool ends,
		     const struct strbuf *tail)
{
	if (l->max_size > 0 && l->size + l->buf_len >= l->max_size) {
		flush(l);
		if (l->size >= l->max_size || l->fd < 0)
			rotate(l);
	}
	if (l->buf_len >= FLUSH_SIZE)
		flush(l);
	assert(l->buf_len + LOGLINE_ROOM(len, tail->len) <= l->buf_size);
	l->buf_len += logline_encode(l->buf + l->buf_len, text, len, ends, tail->s, tail->len);
}

static void get_buffer(struct logfile *l)
{
	void *p;

	if (l->buf)
		return;
	p = mmap(NULL, l->buf_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	l->buf = p;
}

/* Bytes that complete the unfinished line, or fill it.  Returns how many were used. */
static size_t continue_line(struct logfile *l, struct strbuf *line, const char *p, size_t len,
			    const struct strbuf *tail)
{
	size_t room = LOGLINE_MAX - line->len, n = len < room ? len : room;
	const char *end = memchr(p, '\n', n);
	size_t whole;

	if (end) {
		strbuf_add(line, p, (size_t)(end - p));
		put_line(l, line->s, line->len, true, tail);
		strbuf_reset(line);
		return (size_t)(end + 1 - p);
	}
	strbuf_add(line, p, n);
	if (line->len == LOGLINE_MAX) {
		whole = logline_whole_chars(line->s, line->len);
		put_line(l, line->s, whole, false, tail);
		strbuf_drop(line, whole);
	}
	return n;
}

void logfile_write(struct logfile *l, enum stream_kind stream, const void *data, size_t len,
		   int64_t now_ns)
{
	autostrbuf struct strbuf tail = STRBUF_INIT(SHIM_MESSAGE_MAX * 5);
	const char *p = data, *end = p + len;
	struct strbuf *line;

	if (!l || len == 0)
		return;
	get_buffer(l);
	line = &l->unfinished[stream];
	logline_tail(&tail, stream, l->attrs, now_ns);

	while (p < end) {
		size_t left = (size_t)(end - p), n = left < LOGLINE_MAX ? left : LOGLINE_MAX;
		const char *lf = line->len == 0 ? memchr(p, '\n', n) : NULL;

		if (lf) {
			put_line(l, p, (size_t)(lf - p), true, &tail);
			p = lf + 1;
		} else if (line->len == 0 && n == LOGLINE_MAX) {
			n = logline_whole_chars(p, n);
			put_line(l, p, n, false, &tail);
			p += n;
		} else {
			p += continue_line(l, line, p, left, &tail);
		}
	}
	if (line->len == 0) {
		strbuf_done(line);
		strbuf_init(line, LOGLINE_MAX);
	}
	flush(l);
}

void logfile_end(struct logfile *l, enum stream_kind stream, int64_t now_ns)
{
	autostrbuf struct strbuf tail = STRBUF_INIT(SHIM_MESSAGE_MAX * 5);
	struct strbuf *line;

	if (!l || l->unfinished[stream].len == 0)
		return;
	get_buffer(l);
	line = &l->unfinished[stream];
	logline_tail(&tail, stream, l->attrs, now_ns);
	put_line(l, line->s, line->len, false, &tail);
	strbuf_reset(line);
	flush(l);
}

const struct strbuf *logfile_unfinished(const struct logfile *l, enum stream_kind stream)
{
	static const struct strbuf none = STRBUF_INIT(0);

	return l ? &l->unfinished[stream] : &none;
}

void logfile_trim(struct logfile *l)
{
	if (!l || !l->buf)
		return;
	(void)munmap(l->buf, l->buf_size);
	l->buf = NULL;
}

uint64_t logfile_dropped(const struct logfile *l)
{
	return l ? l->dropped : 0;
}

struct logfile_reader {
	struct logfile *log; /* borrowed */
	int fd;              /* owned; -EBADF before the first file */
	uint64_t generation; /* of the file that is open, or to be opened next */
	struct strbuf in;    /* read and not yet consumed from `pos` */
	size_t pos;
};

struct logfile_reader *logfile_reader_new(struct logfile *l)
{
	struct logfile_reader *r = xnew0(struct logfile_reader);

	r->log = l;
	r->fd = -EBADF;
	strbuf_init(&r->in, READER_SIZE + LOGLINE_ROOM(LOGLINE_MAX, 5 * SHIM_MESSAGE_MAX));
	if (l)
		r->generation = l->generation - (l->max_file - 1);
	return r;
}

/* Open generation r->generation, or the next one that exists; false when there is none. */
static bool open_generation(struct logfile_reader *r)
{
	uint64_t newest = r->log->generation;

	if (r->generation + r->log->max_file <= newest)
		r->generation = newest - r->log->max_file + 1;
	for (; r->generation <= newest; r->generation++) {
		autofree char *name = file_name(r->log, newest - r->generation);

		r->fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (r->fd >= 0)
			return true;
	}
	r->generation = newest; /* tried again at the next call */
	return false;
}

/* Read more; false at the end of all files. */
static bool fill(struct logfile_reader *r)
{
	for (;;) {
		bool newest;
		ssize_t n;
		char *p;

		if (r->fd < 0 && !open_generation(r))
			return false;
		newest = r->generation == r->log->generation;
		strbuf_drop(&r->in, r->pos);
		r->pos = 0;
		p = strbuf_reserve(&r->in, READER_SIZE);
		if (!p) { /* a line longer than any we write: not ours, skip its beginning */
			strbuf_reset(&r->in);
			continue;
		}
		n = read(r->fd, p, READER_SIZE);
		if (n > 0) {
			strbuf_advance(&r->in, (size_t)n);
			return true;
		}
		if (newest)
			return false;
		/* The file was rotated away and ends here. */
		strbuf_reset(&r->in);
		fd_close(&r->fd);
		r->generation++;
	}
}

int logfile_reader_next(struct logfile_reader *r, enum stream_kind *ret_stream, struct strbuf *text)
{
	if (!r->log)
		return 0;
	for (;;) {
		const char *p = r->in.s + r->pos, *lf;
		size_t before = text->len;

		lf = memchr(p, '\n', r->in.len - r->pos);
		if (!lf) {
			if (!fill(r))
				return 0;
			continue;
		}
		r->pos += (size_t)(lf + 1 - p);
		if (logline_decode(p, (size_t)(lf - p), ret_stream, text))
			return 1;
		/* Not a line of ours; take back what it may have left. */
		text->len = before;
		if (text->cap)
			text->s[before] = '\0';
	}
}

struct logfile_reader *logfile_reader_free(struct logfile_reader *r)
{
	if (!r)
		return NULL;
	fd_close(&r->fd);
	strbuf_done(&r->in);
	free(r);
	return NULL;
}
