/* The log drivers json-file and local, and the local copy of all others.
 *
 * Output comes in reads of up to 64 KiB.  All lines of a read share one time stamp and are encoded
 * into one buffer, which is written when it is full or the read is done; so a read costs one write.
 * The buffer exists only while output flows (logfile_trim).
 *
 * Files are numbered by generations: rotation makes the present file generation g, renames it to
 * <path>.1, and generation g+1 becomes <path>.  A reader that holds generation g open finds the next
 * one under the suffix that the distance to the newest gives.
 *
 * Files that were rotated away are compressed by vessel-log, one at a time, the oldest first; it only
 * copies from one descriptor to another.  Names are given here, so that a rotation meanwhile does no
 * harm: what it has made takes the name that its generation then has.  A shim that is killed leaves a
 * temporary file behind, which the next one removes.
 */
#include "shim/logfile.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/logentry.h"
#include "base/spawn.h"
#include "shim/logpipe.h"

#define FLUSH_SIZE  65536
#define READER_SIZE 65536
#define TMP_SUFFIX  ".gz.tmp" /* what is being compressed */

/* A line that is written in parts. */
struct parts {
	uint32_t ordinal; /* of the last one; 0: none yet */
	int64_t time_ns;  /* of the first */
	char id[LOGENTRY_ID + 1];
};

struct logfile {
	bool is_local; /* the format */
	char *path;    /* owned; NULL: only the pipe gets the log */
	int fd;        /* owned; -EBADF when the file could not be opened after a rotation */
	uint64_t size; /* bytes in the present file */
	uint64_t max_size;
	uint32_t max_file;
	uint64_t generation; /* of the present file; the oldest found at the start is not below 0 */
	char *attrs;         /* owned; JSON, or encoded for local; NULL: none */
	size_t attrs_len;
	struct strbuf unfinished[STREAM_KIND_COUNT];
	struct parts parts[STREAM_KIND_COUNT];
	struct logpipe *pipe; /* owned; NULL: none */
	char *helper;         /* owned; vessel-log, if files are to be compressed */
	pid_t compressor;     /* 0: none runs */
	uint64_t compressing; /* the generation of its file */
	char *buf;            /* owned mapping of buf_size bytes, or NULL */
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

static char *compressed_name(const struct logfile *l, uint64_t back)
{
	return xasprintf("%s.%llu.gz", l->path, (unsigned long long)back);
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

/* How many whole lines are in the buffer, which begins with one, and where they end. */
static size_t whole_lines(const struct logfile *l, const char *p, size_t len, size_t *ret_end)
{
	size_t n = 0, at = 0;

	if (l->is_local) {
		struct logentry e;
		ssize_t frame;

		for (; (frame = logentry_next(p + at, len - at, &e)) > 0; n++)
			at += (size_t)frame;
	} else {
		const char *lf;

		for (; at < len && (lf = memchr(p + at, '\n', len - at)); n++)
			at = (size_t)(lf + 1 - p);
	}
	*ret_end = at;
	return n;
}

static bool ends_whole(const struct logfile *l)
{
	char size[4], last;
	off_t end = (off_t)l->size;
	size_t n;

	if (!l->is_local)
		return pread(l->fd, &last, 1, end - 1) != 1 || last == '\n';
	if (end < LOGENTRY_FRAME || pread(l->fd, size, 4, end - 4) != 4)
		return false;
	n = logentry_be32(size);
	return (off_t)n <= end - LOGENTRY_FRAME &&
	       pread(l->fd, size, 4, end - (off_t)n - LOGENTRY_FRAME) == 4 &&
	       logentry_be32(size) == n;
}

/* Where the last whole line ends: by walking from line to line.  Lines are shorter than `buf`. */
static off_t whole_end(const struct logfile *l, char *buf, size_t size)
{
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(l->fd, buf, size, at);
		size_t end;

		if (n <= 0 || whole_lines(l, buf, (size_t)n, &end) == 0)
			return at;
		at += (off_t)end;
	}
}

/* A shim that was killed, or a power loss, may have left half a line: cut it off. */
static void cut_torn_line(struct logfile *l)
{
	autofree char *buf = NULL;
	off_t end;

	if (l->size == 0 || ends_whole(l))
		return;
	buf = xcalloc(l->buf_size, 1);
	end = whole_end(l, buf, l->buf_size);
	if (ftruncate(l->fd, end) == 0)
		l->size = (uint64_t)end;
}

/* What every line carries. */
static int set_attrs(struct logfile *l, const struct json *attrs, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(SHIM_MESSAGE_MAX * 4);
	struct json_writer w;

	if (json_count(attrs) == 0)
		return 0;
	if (l->is_local) {
		logentry_attrs(&text, attrs);
	} else {
		json_writer_init(&w, &text);
		jw_value(&w, attrs);
	}
	if (strbuf_error(&text) < 0 || (l->is_local && text.len > LOGENTRY_MAX / 2))
		return error_set(err, ERROR_INVALID, E2BIG, "the log's attributes");
	l->attrs_len = text.len;
	l->attrs = strbuf_take(&text);
	return 0;
}

static void compress_next(struct logfile *l);

int logfile_open(const struct shim_log *log, struct logfile **ret, struct error *err)
{
	autologfile struct logfile *l = NULL;
	int r;

	if (str_eq(log->type, "none")) {
		*ret = NULL;
		return 0;
	}

	l = xnew0(struct logfile);
	l->fd = -EBADF;
	l->is_local = str_eq(log->type, "local");
	l->path = log->path ? xstrdup(log->path) : NULL;
	l->max_size = log->max_size;
	l->max_file = log->max_file;
	l->generation = log->max_file;
	for (size_t i = 0; i < STREAM_KIND_COUNT; i++)
		strbuf_init(&l->unfinished[i], LOGLINE_MAX);
	r = set_attrs(l, log->attrs, err);
	if (r < 0)
		return r;
	l->buf_size = FLUSH_SIZE + (l->is_local ? LOGENTRY_ROOM(LOGLINE_MAX, l->attrs_len)
						: LOGLINE_ROOM(LOGLINE_MAX, l->attrs_len + 128));
	if (l->path) {
		r = open_file(l, 0);
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "open the log '%s'", log->path);
		cut_torn_line(l);
		if (log->compress && log->helper && log->max_file > 1) {
			l->helper = xstrdup(log->helper);
			compress_next(l);
		}
	}
	*ret = TAKE_PTR(l);
	return 0;
}

void logfile_set_pipe(struct logfile *l, struct logpipe *pipe_take)
{
	assert(l->is_local && !l->pipe);
	l->pipe = pipe_take;
}

struct logpipe *logfile_pipe(const struct logfile *l)
{
	return l ? l->pipe : NULL;
}

struct logfile *logfile_free(struct logfile *l)
{
	if (!l)
		return NULL;
	logfile_trim(l);
	l->pipe = logpipe_free(l->pipe);
	for (size_t i = 0; i < STREAM_KIND_COUNT; i++)
		strbuf_done(&l->unfinished[i]);
	fd_close(&l->fd);
	free(l->attrs);
	free(l->helper);
	free(l->path);
	free(l);
	return NULL;
}

void logfile_close(struct logfile *l)
{
	if (!l)
		return;
	if (l->pipe)
		logpipe_close(l->pipe);
	free(TAKE_PTR(l->helper));
	l->compressor = 0; /* what it makes has no name that counts */
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

/* On failure the file is cut back to its last whole line. */
static void write_file(struct logfile *l)
{
	size_t done = 0, whole, rest;
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
		return;
	}
	(void)whole_lines(l, l->buf, done, &whole);
	l->dropped += whole_lines(l, l->buf + whole, l->buf_len - whole, &rest);
	if (whole < done && ftruncate(l->fd, (off_t)(l->size + whole)) < 0)
		log_debug("cut the torn line off the log: %m"); /* best effort */
	l->size += whole;
	report_failure(l, errnum ? errnum : EBADF);
}

/* Write the buffer, which holds whole lines. */
static void flush(struct logfile *l)
{
	if (l->path)
		write_file(l);
	if (l->pipe && l->buf_len > 0)
		logpipe_write(l->pipe, l->buf, l->buf_len);
	l->buf_len = 0;
}

/* ---- compression ------------------------------------------------------------------------------ */

static int start_compressor(struct logfile *l, const char *name, struct error *err)
{
	const char *const argv[] = {"vessel-log", "compress", NULL};
	autofree char *tmp = xasprintf("%s" TMP_SUFFIX, l->path);
	autoclose int in = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autoclose int out = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	const struct spawn_fd fds[] = {
		{in, STDIN_FILENO}, {out, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	const struct spawn_args args = {.path = l->helper,
					.exec_fd = -EBADF,
					.argv = argv,
					.fds = fds,
					.fd_count = ARRAY_SIZE(fds)};

	if (in < 0 || out < 0)
		return error_set(err, ERROR_INTERNAL, errno, "compress the log '%s'", name);
	return spawn(&args, &l->compressor, NULL, err);
}

/* The oldest file that is not compressed yet. */
static void compress_next(struct logfile *l)
{
	autofree char *tmp = xasprintf("%s" TMP_SUFFIX, l->path);
	autoerror struct error err = {0};

	if (l->compressor > 0)
		return;
	(void)unlink(tmp);
	for (uint64_t back = l->max_file - 1; back > 0; back--) {
		autofree char *name = file_name(l, back);

		if (access(name, F_OK) < 0)
			continue;
		l->compressing = l->generation - back;
		if (start_compressor(l, name, &err) < 0)
			log_warn("%s", error_msg(&err));
		return;
	}
}

bool logfile_reaped(struct logfile *l, pid_t pid, int code)
{
	autofree char *tmp = NULL, *plain = NULL, *compressed = NULL;
	uint64_t back;

	if (l && l->pipe && logpipe_reaped(l->pipe, pid, code))
		return true;
	if (!l || l->compressor == 0 || l->compressor != pid)
		return false;
	l->compressor = 0;
	tmp = xasprintf("%s" TMP_SUFFIX, l->path);
	back = l->generation - l->compressing;
	if (code != 0 || back >= l->max_file) {
		(void)unlink(tmp);
		if (code != 0) {
			log_warn("compress the log '%s': vessel-log ended with %d", l->path, code);
			return true; /* again at the next rotation */
		}
	} else {
		plain = file_name(l, back);
		compressed = compressed_name(l, back);
		if (rename(tmp, compressed) < 0 || unlink(plain) < 0)
			log_warn("compress the log '%s': %m", l->path);
	}
	compress_next(l);
	return true;
}

static void move_file(struct logfile *l, const char *from, const char *to)
{
	if (rename(from, to) < 0 && errno != ENOENT)
		report_failure(l, errno);
}

/* The present file becomes <path>.1, the oldest goes.  Readers keep what they have open. */
static void rotate(struct logfile *l)
{
	int r;

	fd_close(&l->fd);
	for (uint64_t back = l->max_file - 1; back > 0; back--) {
		autofree char *from = file_name(l, back - 1), *to = file_name(l, back);
		autofree char *gz_from = compressed_name(l, back - 1);
		autofree char *gz_to = compressed_name(l, back);

		if (back == l->max_file - 1)
			(void)unlink(gz_to);
		move_file(l, from, to);
		move_file(l, gz_from, gz_to);
	}
	if (l->max_file == 1 && unlink(l->path) < 0 && errno != ENOENT)
		report_failure(l, errno);
	l->generation++;

	r = open_file(l, O_TRUNC);
	if (r < 0)
		report_failure(l, -r);
	if (l->helper)
		compress_next(l);
}

/* ---- lines ------------------------------------------------------------------------------------ */

/* What the lines of one read have in common. */
struct batch {
	enum stream_kind stream;
	int64_t now_ns;
	struct strbuf tail; /* of json-file */
};

static void begin_batch(struct logfile *l, struct batch *b)
{
	strbuf_init(&b->tail, SHIM_MESSAGE_MAX * 5);
	if (!l->is_local)
		logline_tail(&b->tail, b->stream, l->attrs, b->now_ns);
}

static void make_id(char id[static LOGENTRY_ID + 1])
{
	unsigned char random[LOGENTRY_ID / 2];

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		memset(random, 0, sizeof(random)); /* ids only tell lines apart */
	hex_encode(random, sizeof(random), id);
}

static size_t encode_local(struct logfile *l, const struct batch *b, const char *text, size_t len,
			   bool ends)
{
	struct parts *parts = &l->parts[b->stream];
	struct logentry e = {
		.stream = b->stream == STREAM_STDERR ? LOGENTRY_STDERR : LOGENTRY_STDOUT,
		.time_ns = b->now_ns,
		.line = text,
		.len = len,
		.attrs = l->attrs,
		.attrs_len = l->attrs_len,
	};

	if (!ends || parts->ordinal > 0) {
		if (parts->ordinal == 0) {
			make_id(parts->id);
			parts->time_ns = b->now_ns;
		}
		e.time_ns = parts->time_ns;
		e.partial = true;
		e.last = ends;
		e.ordinal = ++parts->ordinal;
		e.id = parts->id;
		e.id_len = LOGENTRY_ID;
	}
	if (ends)
		parts->ordinal = 0;
	return logentry_encode(l->buf + l->buf_len, &e);
}

static bool is_full(const struct logfile *l)
{
	return l->path && l->max_size > 0 && l->size + l->buf_len >= l->max_size;
}

/* Room for a line in the file, and in the buffer. */
static void make_room(struct logfile *l)
{
	if (is_full(l)) {
		flush(l);
		if (l->size >= l->max_size || l->fd < 0)
			rotate(l);
	}
	if (l->buf_len >= FLUSH_SIZE)
		flush(l);
}

static void put_line(struct logfile *l, const struct batch *b, const char *text, size_t len,
		     bool ends)
{
	make_room(l);
	assert(len <= LOGLINE_MAX);
	if (l->is_local)
		l->buf_len += encode_local(l, b, text, len, ends);
	else
		l->buf_len += logline_encode(l->buf + l->buf_len, text, len, ends, b->tail.s,
					     b->tail.len);
	assert(l->buf_len <= l->buf_size);
}

/* The line at *text, if it ends before `end`.  A file that is full is rotated for a line, not for the
 * beginning of one; else the line's end is found on the way. */
static bool put_next_line(struct logfile *l, const struct batch *b, const char **text,
			  const char *end)
{
	size_t n;

	if (l->is_local || is_full(l)) {
		const char *lf = memchr(*text, '\n', (size_t)(end - *text));

		if (!lf)
			return false;
		put_line(l, b, *text, (size_t)(lf - *text), true);
		*text = lf + 1;
		return true;
	}
	make_room(l);
	n = logline_encode_next(l->buf + l->buf_len, text, end, b->tail.s, b->tail.len);
	l->buf_len += n;
	assert(l->buf_len <= l->buf_size);
	return n > 0;
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

void logfile_add(struct logfile *l, const struct logentry *e)
{
	struct batch b = {.stream = e->stream == LOGENTRY_STDERR ? STREAM_STDERR : STREAM_STDOUT,
			  .now_ns = e->time_ns};
	size_t len = e->len < LOGLINE_MAX ? e->len : LOGLINE_MAX; /* as a shim has made it */
	struct logentry copy = *e;

	get_buffer(l);
	make_room(l);
	if (l->is_local) {
		copy.len = len;
		copy.id_len = e->id_len < LOGENTRY_ID ? e->id_len : LOGENTRY_ID;
		copy.attrs = l->attrs;
		copy.attrs_len = l->attrs_len;
		l->buf_len += logentry_encode(l->buf + l->buf_len, &copy);
		return;
	}
	begin_batch(l, &b);
	l->buf_len += logline_encode(l->buf + l->buf_len, e->line, len, !e->partial || e->last,
				     b.tail.s, b.tail.len);
	strbuf_done(&b.tail);
}

void logfile_flush(struct logfile *l)
{
	flush(l);
}

/* Bytes that complete the unfinished line, or fill it.  Returns how many were used. */
static size_t continue_line(struct logfile *l, const struct batch *b, const char *p, size_t len)
{
	struct strbuf *line = &l->unfinished[b->stream];
	size_t room = LOGLINE_MAX - line->len, n = len < room ? len : room;
	const char *end = memchr(p, '\n', n);
	size_t whole;

	if (end) {
		strbuf_add(line, p, (size_t)(end - p));
		put_line(l, b, line->s, line->len, true);
		strbuf_reset(line);
		return (size_t)(end + 1 - p);
	}
	strbuf_add(line, p, n);
	if (line->len == LOGLINE_MAX) {
		whole = logline_whole_chars(line->s, line->len);
		put_line(l, b, line->s, whole, false);
		strbuf_drop(line, whole);
	}
	return n;
}

void logfile_write(struct logfile *l, enum stream_kind stream, const void *data, size_t len,
		   int64_t now_ns)
{
	struct batch b = {.stream = stream, .now_ns = now_ns};
	const char *p = data, *end = p + len;
	struct strbuf *line;

	if (!l || len == 0)
		return;
	get_buffer(l);
	line = &l->unfinished[stream];
	begin_batch(l, &b);

	while (p < end) {
		size_t left = (size_t)(end - p), n = left < LOGLINE_MAX ? left : LOGLINE_MAX;

		if (line->len == 0 && put_next_line(l, &b, &p, p + n))
			continue;
		if (line->len == 0 && n == LOGLINE_MAX) {
			n = logline_whole_chars(p, n);
			put_line(l, &b, p, n, false);
			p += n;
		} else {
			p += continue_line(l, &b, p, left);
		}
	}
	if (line->len == 0) {
		strbuf_done(line);
		strbuf_init(line, LOGLINE_MAX);
	}
	strbuf_done(&b.tail);
	flush(l);
}

void logfile_end(struct logfile *l, enum stream_kind stream, int64_t now_ns)
{
	struct batch b = {.stream = stream, .now_ns = now_ns};
	struct strbuf *line;

	if (!l || l->unfinished[stream].len == 0)
		return;
	get_buffer(l);
	line = &l->unfinished[stream];
	begin_batch(l, &b);
	put_line(l, &b, line->s, line->len, false);
	strbuf_done(&b.tail);
	strbuf_reset(line);
	l->parts[stream].ordinal = 0;
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

static int next_local(struct logfile_reader *r, enum stream_kind *ret_stream, struct strbuf *text)
{
	for (;;) {
		struct logentry e;
		ssize_t n = logentry_next(r->in.s + r->pos, r->in.len - r->pos, &e);

		if (n > 0) {
			r->pos += (size_t)n;
			*ret_stream = e.stream == LOGENTRY_STDERR ? STREAM_STDERR : STREAM_STDOUT;
			strbuf_add(text, e.line, e.len);
			if (!e.partial || e.last)
				strbuf_addc(text, '\n');
			return 1;
		}
		if (n < 0) /* damaged: what is left of it cannot be found */
			r->pos = r->in.len;
		if (!fill(r))
			return 0;
	}
}

int logfile_reader_next(struct logfile_reader *r, enum stream_kind *ret_stream, struct strbuf *text)
{
	if (!r->log || !r->log->path)
		return 0;
	if (r->log->is_local)
		return next_local(r, ret_stream, text);
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
