/* Raw bytes and contents, put together again, are the archive; what an entry says stays in bounds.
 *
 * The first byte chooses the portions in which the archive arrives. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/tar.h"

#include "fuzz.h"

#define MAX_ARCHIVE ((size_t)64 << 20)

struct input {
	const uint8_t *p;
	size_t len, portion;
};

static ssize_t input_read(void *data, void *buf, size_t size, struct error *err)
{
	struct input *in = data;
	size_t n = in->portion < size ? in->portion : size;

	(void)err;
	n = n < in->len ? n : in->len;
	if (n == 0)
		return 0;
	memcpy(buf, in->p, n);
	in->p += n;
	in->len -= n;
	return (ssize_t)n;
}

static int raw(void *data, const void *p, size_t len, struct error *err)
{
	(void)err;
	strbuf_add(data, p, len);
	return 0;
}

static void check_entry(const struct tar_entry *e)
{
	int64_t end = 0, sum = 0;

	if (!e->path[0] || strlen(e->path) > TAR_MAX_PATH || strlen(e->link) > TAR_MAX_PATH)
		abort();
	if (e->mode & ~07777U || e->size < 0 || e->stored_size < 0 ||
	    (e->type != TAR_FILE && e->size != 0))
		abort();
	for (size_t i = 0; i < e->n_pieces; i++) {
		if (e->pieces[i].offset < end || e->pieces[i].len < 0)
			abort();
		end = e->pieces[i].offset + e->pieces[i].len;
		sum += e->pieces[i].len;
	}
	if (end > e->size || (e->sparse && sum != e->stored_size))
		abort();
	for (size_t i = 0; i < e->n_xattrs; i++)
		if (!e->xattrs[i].name[0] ||
		    (e->xattrs[i].len &&
		     !memchr(e->xattrs[i].value, ((const char *)e->xattrs[i].value)[0],
			     e->xattrs[i].len)))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.p = data + 1, .len = size - 1, .portion = size ? data[0] + 1U : 0};
	struct stream_reader reader = {.read = input_read, .data = &in};
	autostrbuf struct strbuf all = STRBUF_INIT(MAX_ARCHIVE);
	autoerror struct error err = {0};
	autotar struct tar *t = NULL;
	const struct tar_entry *e;
	int r;

	if (size == 0)
		return 0;
	t = tar_new(&reader, raw, &all);
	while ((r = tar_next(t, &e, &err)) > 0) {
		int64_t left = e->stored_size;
		const void *p;
		ssize_t n;

		check_entry(e);
		while ((n = tar_read(t, 1000, &p, &err)) > 0) {
			strbuf_add(&all, p, (size_t)n);
			left -= n;
		}
		if (n < 0) {
			r = (int)n;
			break;
		}
		if (left != 0)
			abort();
	}
	if ((r < 0) != (err.msg != NULL) || (r < 0 && err.kind != ERROR_INVALID))
		abort();
	if (all.len > size - 1 || memcmp(all.s, data + 1, all.len) != 0 ||
	    (r == 0 && all.len != size - 1))
		abort();
	return 0;
}
