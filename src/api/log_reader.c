/* Reading json-file logs.
 *
 * Following is by inode: at the end of a file, `path` naming another one means that it was rotated.
 * Its successor is the file one number below the name that it has now.  Numbers may shift while we
 * look, so the name is checked again after the successor was opened.
 */
#include "api/log_reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define READ_SIZE  ((size_t)128 << 10) /* bytes a read */
#define LINE_MAX_  ((size_t)4 << 20)   /* bytes; longer lines are skipped */
#define FILES_MAX  1000                /* rotated files looked for */
#define RETRIES    16                  /* rotations raced in a row */
#define WINDOW_MIN ((size_t)256 << 10) /* bytes looked at from the end */

struct log_reader {
	char *path; /* owned */
	int fd;     /* owned; -EBADF before the first file is there */
	off_t offset;
	char *buf; /* owned: [start, end) is unread */
	size_t start, end, cap;
	bool skipping; /* inside a line that is too long */
	struct strbuf text;
};

/* ---- one line ------------------------------------------------------------------------------- */

struct cursor {
	const char *p, *end;
};

/* The closing quote of a string whose first character is at p; NULL without one. */
static const char *string_end(const char *p, const char *end)
{
	for (const char *q = p; (q = memchr(q, '"', (size_t)(end - q))); q++) {
		const char *b = q;

		while (b > p && b[-1] == '\\')
			b--;
		if ((q - b) % 2 == 0)
			return q;
	}
	return NULL;
}

static bool take(struct cursor *c, char ch)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static bool take_string(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *q;

	if (!take(c, '"'))
		return false;
	q = string_end(c->p, c->end);
	if (!q)
		return false;
	*ret = c->p;
	*ret_len = (size_t)(q - c->p);
	c->p = q + 1;
	return true;
}

/* Any other value: an object with whatever is in it, or a word. */
static bool take_value(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *s;
	size_t len, depth = 0;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	*ret = c->p;
	for (; c->p < c->end; c->p++) {
		if (*c->p == '"') {
			if (!take_string(c, &s, &len))
				return false;
			c->p--;
		} else if (*c->p == '{' || *c->p == '[') {
			depth++;
		} else if (depth > 0 && (*c->p == '}' || *c->p == ']')) {
			depth--;
		} else if (depth == 0 && (*c->p == ',' || *c->p == '}')) {
			break;
		}
	}
	*ret_len = (size_t)(c->p - *ret);
	return depth == 0;
}

static int hex4(const char *p, const char *end, unsigned *ret)
{
	unsigned v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char ch = p[i];
		int d = ch >= '0' && ch <= '9'   ? ch - '0'
			: ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
			: ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
						 : -1;

		if (d < 0)
			return -1;
		v = v * 16 + (unsigned)d;
	}
	*ret = v;
	return 0;
}

static void add_utf8(struct strbuf *b, unsigned cp)
{
	char s[4];
	size_t n = 0;

	if (cp < 0x80) {
		s[n++] = (char)cp;
	} else if (cp < 0x800) {
		s[n++] = (char)(0xc0 | cp >> 6);
		s[n++] = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		s[n++] = (char)(0xe0 | cp >> 12);
		s[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (cp & 0x3f));
	} else {
		s[n++] = (char)(0xf0 | cp >> 18);
		s[n++] = (char)(0x80 | (cp >> 12 & 0x3f));
		s[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (cp & 0x3f));
	}
	strbuf_add(b, s, n);
}

/* \uXXXX at p (behind the u); surrogates come in pairs, or are U+FFFD.  Returns what follows. */
static const char *add_unicode(struct strbuf *b, const char *p, const char *end)
{
	unsigned cp, low;

	if (hex4(p, end, &cp) < 0)
		return NULL;
	p += 4;
	if (cp >= 0xd800 && cp < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
	    hex4(p + 2, end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	} else if (cp >= 0xd800 && cp < 0xe000) {
		cp = 0xfffd;
	}
	add_utf8(b, cp);
	return p;
}

static bool unescape(struct strbuf *b, const char *p, size_t len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *end = p + len;

	while (p < end) {
		const char *bs = memchr(p, '\\', (size_t)(end - p)), *f;

		strbuf_add(b, p, (size_t)((bs ? bs : end) - p));
		if (!bs)
			break;
		if (bs + 1 == end)
			return false;
		p = bs + 2;
		if (bs[1] == 'u') {
			p = add_unicode(b, p, end);
			if (!p)
				return false;
		} else {
			f = strchr(from, bs[1]);
			if (!f || *f == '\0')
				return false;
			strbuf_addc(b, to[f - from]);
		}
	}
	return strbuf_error(b) == 0;
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* The raw members of a line. */
struct raw {
	const char *log, *stream, *time, *attrs;
	size_t log_len, stream_len, time_len, attrs_len;
};

static bool parse_raw(const char *line, size_t len, struct raw *r)
{
	struct cursor c = {line, line + len};
	const char *key, *value;
	size_t key_len, value_len;

	*r = (struct raw){0};
	if (!take(&c, '{'))
		return false;
	do {
		if (!take_string(&c, &key, &key_len) || !take(&c, ':'))
			return false;
		if (is_word(key, key_len, "log")) {
			if (!take_string(&c, &r->log, &r->log_len))
				return false;
		} else if (is_word(key, key_len, "stream")) {
			if (!take_string(&c, &r->stream, &r->stream_len))
				return false;
		} else if (is_word(key, key_len, "time")) {
			if (!take_string(&c, &r->time, &r->time_len))
				return false;
		} else {
			if (!take_value(&c, &value, &value_len))
				return false;
			if (is_word(key, key_len, "attrs")) {
				r->attrs = value;
				r->attrs_len = value_len;
			}
		}
	} while (take(&c, ','));
	return take(&c, '}') && c.p == c.end && r->log && r->time;
}

bool log_entry_parse(const char *line, size_t len, struct strbuf *scratch, struct log_entry *ret)
{
	struct raw r;

	if (!parse_raw(line, len, &r))
		return false;
	ret->stream =
		r.stream && is_word(r.stream, r.stream_len, "stderr") ? LOG_STDERR : LOG_STDOUT;
	ret->text = r.log;
	ret->len = r.log_len;
	if (memchr(r.log, '\\', r.log_len)) {
		strbuf_reset(scratch);
		if (!unescape(scratch, r.log, r.log_len))
			return false;
		ret->text = scratch->s;
		ret->len = scratch->len;
	}
	ret->time = r.time;
	ret->time_len = r.time_len;
	ret->attrs = r.attrs;
	ret->attrs_len = r.attrs_len;
	return true;
}

int64_t log_entry_time_ns(const struct log_entry *e)
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t ns;

	if (e->time_len >= sizeof(text))
		return 0;
	memcpy(text, e->time, e->time_len);
	text[e->time_len] = '\0';
	return clock_parse_rfc3339(text, &ns) < 0 ? 0 : ns;
}

/* ---- the files ------------------------------------------------------------------------------ */

static char *numbered(const struct log_reader *r, unsigned i)
{
	return i == 0 ? xstrdup(r->path) : xasprintf("%s.%u", r->path, i);
}

static int open_numbered(const struct log_reader *r, unsigned i)
{
	autofree char *path = numbered(r, i);

	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static bool is_file(const struct log_reader *r, unsigned i, const struct stat *st)
{
	autofree char *path = numbered(r, i);
	struct stat other;

	return stat(path, &other) == 0 && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

static bool exists(const struct log_reader *r, unsigned i)
{
	autofree char *path = numbered(r, i);

	return access(path, F_OK) == 0;
}

/* The oldest file's number. */
static unsigned oldest(const struct log_reader *r)
{
	unsigned i = 0;

	while (i < FILES_MAX && exists(r, i + 1))
		i++;
	return i;
}

static void use(struct log_reader *r, int fd)
{
	fd_close(&r->fd);
	r->fd = fd;
	r->offset = 0;
	r->start = r->end = 0;
	r->skipping = false;
}

/* Open the first file that there is.  False if there is none. */
static bool open_oldest(struct log_reader *r)
{
	for (unsigned tries = 0; tries < RETRIES; tries++) {
		int fd = open_numbered(r, oldest(r));

		if (fd >= 0) {
			use(r, fd);
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
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return false;
	for (unsigned tries = 0; tries < RETRIES; tries++) {
		unsigned i = 0, last = oldest(r);
		int fd;

		while (i <= last && !is_file(r, i, &st))
			i++;
		if (i == 0)
			return false; /* it is still the newest */
		if (i > last)
			return open_oldest(r); /* it is deleted, and so may be others behind it */
		fd = open_numbered(r, i - 1);
		if (fd >= 0 && is_file(r, i, &st)) {
			use(r, fd);
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

int log_reader_next(struct log_reader *r, struct log_entry *ret)
{
	const char *line;
	size_t len, scanned = 0;

	if (r->fd < 0 && !open_oldest(r))
		return 0;
	for (;;) {
		while (next_line(r, &scanned, &line, &len)) {
			bool skip = r->skipping;

			r->skipping = false;
			if (!skip && log_entry_parse(line, len, &r->text, ret))
				return 1;
		}
		if (fill(r) > 0)
			continue;
		scanned = 0;
		/* What was written between that and the rotation has to be read first. */
		struct stat st;

		if (fstat(r->fd, &st) < 0 || is_file(r, 0, &st))
			return 0;
		if (fill(r) > 0)
			continue;
		if (!open_next(r))
			return 0;
	}
}

/* ---- the last lines ------------------------------------------------------------------------- */

/* Is the text of this line the end of a line of output? */
static bool ends_line(const char *line, size_t len)
{
	struct raw r;
	size_t slashes = 0;

	if (!parse_raw(line, len, &r) || r.log_len < 2 || r.log[r.log_len - 1] != 'n')
		return false;
	while (slashes < r.log_len - 1 && r.log[r.log_len - 2 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 1;
}

struct tail {
	uint64_t wanted, found;
	bool any; /* an entry was seen */
	bool done;
	off_t start; /* of the last lines, in the file being looked at */
};

/* Entries of buf, which ends with a line feed, from the last one back.  `base` is its offset. */
static size_t count_back(struct tail *t, const char *buf, size_t len, off_t base)
{
	size_t end = len;

	while (end > 0) {
		const char *nl = memrchr(buf, '\n', end - 1);
		size_t start = nl ? (size_t)(nl - buf) + 1 : 0;

		if (!nl && base > 0)
			break; /* its beginning is not in the buffer */
		if (ends_line(buf + start, end - 1 - start) || !t->any) {
			if (t->found == t->wanted) {
				t->done = true;
				t->start = base + (off_t)end;
				return end;
			}
			t->found++;
		}
		t->any = true;
		end = start;
	}
	return end;
}

static void tail_file(struct tail *t, int fd)
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
		ssize_t n;
		size_t len, left;

		buf = xrealloc(buf, window, 1);
		n = pread(fd, buf, (size_t)(hi - lo), lo);
		if (n < (ssize_t)(hi - lo))
			return;
		/* Only the very end can be in the middle of a line. */
		for (len = (size_t)n; len > 0 && buf[len - 1] != '\n'; len--)
			;
		left = len ? count_back(t, buf, len, lo) : 0;
		if (t->done)
			return;
		if (len == 0 || left == len) {
			if (window > LINE_MAX_)
				return;
			window *= 2; /* a line longer than the window */
			hi = len ? lo + (off_t)len : hi;
			if (lo == 0)
				return;
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
		int fd = open_numbered(r, i);

		if (fd < 0)
			continue;
		tail_file(&t, fd);
		use(r, fd);
		r->offset = t.start;
		if (t.done)
			return;
	}
}

struct log_reader *log_reader_new(const char *path)
{
	struct log_reader *r = xnew0(struct log_reader);

	r->path = xstrdup(path);
	r->fd = -EBADF;
	strbuf_init(&r->text, LINE_MAX_);
	return r;
}

struct log_reader *log_reader_free(struct log_reader *r)
{
	if (r) {
		fd_close(&r->fd);
		strbuf_done(&r->text);
		free(r->buf);
		free(r->path);
		free(r);
	}
	return NULL;
}
