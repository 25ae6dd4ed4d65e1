/* Where a body's bytes are in a byte stream. */
#include "http/framing.h"

#include <assert.h>
#include <errno.h>

#include "base/str.h"

#define LINE_MAX_BYTES    256  /* chunk size with extensions */
#define TRAILER_MAX_BYTES 8192 /* all trailers */

/* States of the chunked decoder, by the byte that is awaited. */
enum chunk_state {
	CHUNK_SIZE_FIRST, /* first digit */
	CHUNK_SIZE,       /* further digits, extension or CR */
	CHUNK_EXTENSION,  /* until CR */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_FIRST, /* start of a trailer line, or CR of the end */
	CHUNK_TRAILER,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
};

void framing_init(struct framing *f, enum framing_kind kind, uint64_t length)
{
	*f = (struct framing){.kind = kind};
	if (kind == FRAMING_LENGTH)
		f->left = length;
	if (kind == FRAMING_CLOSE)
		f->left = UINT64_MAX;
	if (kind == FRAMING_NONE || (kind == FRAMING_LENGTH && length == 0))
		f->is_done = true;
}

uint64_t framing_data(const struct framing *f)
{
	if (f->is_done || (f->kind == FRAMING_CHUNKED && f->state != CHUNK_DATA))
		return 0;
	return f->left;
}

void framing_advance(struct framing *f, size_t n)
{
	assert(n <= f->left);
	if (f->kind == FRAMING_CLOSE)
		return;
	f->left -= n;
	if (f->left > 0)
		return;
	if (f->kind == FRAMING_CHUNKED)
		f->state = CHUNK_DATA_CR;
	else
		f->is_done = true;
}

static int expect_byte(struct framing *f, char c, char want, enum chunk_state next)
{
	if (c != want)
		return -EBADMSG;
	f->state = next;
	return 0;
}

static int step_size(struct framing *f, char c)
{
	int v = hex_value(c);

	if (v >= 0) {
		if (f->left > (UINT64_MAX >> 5)) /* so that it stays below 2^63 */
			return -EBADMSG;
		f->left = f->left << 4 | (unsigned)v;
		f->state = CHUNK_SIZE;
		return 0;
	}
	if (f->state == CHUNK_SIZE_FIRST)
		return -EBADMSG;
	if (c == '\r')
		f->state = CHUNK_SIZE_LF;
	else if (c == ';' || c == ' ' || c == '\t')
		f->state = CHUNK_EXTENSION;
	else
		return -EBADMSG;
	return 0;
}

static int step_size_lf(struct framing *f, char c)
{
	f->line = 0;
	return expect_byte(f, c, '\n', f->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_FIRST);
}

/* One byte of an extension or a trailer line, which ends with CR. */
static int step_text(struct framing *f, char c, enum chunk_state same, enum chunk_state next)
{
	if (c == '\n' || c == '\0')
		return -EBADMSG;
	f->state = c == '\r' ? next : same;
	return 0;
}

static int step_end(struct framing *f, char c)
{
	if (c != '\n')
		return -EBADMSG;
	f->is_done = true;
	return 0;
}

/* One byte that is not data. */
static int chunk_step(struct framing *f, char c)
{
	enum chunk_state state = (enum chunk_state)f->state;
	size_t max = state >= CHUNK_TRAILER_FIRST ? TRAILER_MAX_BYTES : LINE_MAX_BYTES;

	if (++f->line > max)
		return -E2BIG;

	switch (state) {
	case CHUNK_SIZE_FIRST:
	case CHUNK_SIZE:
		return step_size(f, c);
	case CHUNK_EXTENSION:
		return step_text(f, c, CHUNK_EXTENSION, CHUNK_SIZE_LF);
	case CHUNK_SIZE_LF:
		return step_size_lf(f, c);
	case CHUNK_DATA_CR:
		return expect_byte(f, c, '\r', CHUNK_DATA_LF);
	case CHUNK_DATA_LF:
		f->line = 0;
		return expect_byte(f, c, '\n', CHUNK_SIZE_FIRST);
	case CHUNK_TRAILER_FIRST:
		return step_text(f, c, CHUNK_TRAILER, CHUNK_END_LF);
	case CHUNK_TRAILER:
		return step_text(f, c, CHUNK_TRAILER, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LF:
		return expect_byte(f, c, '\n', CHUNK_TRAILER_FIRST);
	case CHUNK_END_LF:
		return step_end(f, c);
	case CHUNK_DATA:
		break;
	}
	assert(0);
	return -EBADMSG;
}

ssize_t framing_skip(struct framing *f, const char *buf, size_t len)
{
	size_t used = 0;
	int r;

	while (!f->is_done && used < len && framing_data(f) == 0) {
		r = chunk_step(f, buf[used]);
		if (r < 0)
			return r;
		used++;
	}
	return (ssize_t)used;
}
