/* The detach key sequence, recognised wherever reads happen to split it. */
#include "base/detach.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* ASCII control characters by the key that makes them with ctrl: 0 to 31. */
static const char control_keys[] = "@abcdefghijklmnopqrstuvwxyz[\\]^_";

static int parse_key(const char *s, size_t len)
{
	const char *key;

	if (len == 1)
		return (unsigned char)s[0];
	if (len == 3 && memcmp(s, "DEL", 3) == 0)
		return 127;
	if (len != 6 || memcmp(s, "ctrl-", 5) != 0)
		return -EINVAL;
	key = memchr(control_keys, s[5], sizeof(control_keys) - 1);
	return key ? (int)(key - control_keys) : -EINVAL;
}

int detach_init(struct detach *d, const char *keys, struct error *err)
{
	struct detach parsed = {0};

	for (const char *s = keys; !str_empty(keys) && s;) {
		size_t len = strcspn(s, ",");
		int key;

		/* A comma cannot be a key of its own: "," is two empty ones. */
		key = parse_key(s, len);
		if (key < 0)
			return error_set(err, ERROR_INVALID, 0,
					 "Invalid detach keys (%s) provided: unknown key '%.*s'",
					 keys, (int)len, s);
		if (parsed.count == DETACH_KEYS_MAX)
			return error_set(err, ERROR_INVALID, 0,
					 "Invalid detach keys (%s) provided: more than %d keys",
					 keys, DETACH_KEYS_MAX);
		parsed.keys[parsed.count++] = (unsigned char)key;
		s = s[len] ? s + len + 1 : NULL;
	}
	*d = parsed;
	return 0;
}

/* `matched` bytes are held and the next one does not continue them: pass on the first of them, up
 * to where the rest could begin the sequence anew. */
static void fall_back(struct detach *d, struct strbuf *out)
{
	size_t k = d->matched, skip = 1;

	while (skip < k && memcmp(d->keys, d->keys + skip, k - skip) != 0)
		skip++;
	strbuf_add(out, d->keys, skip);
	d->matched = k - skip;
}

bool detach_filter(struct detach *d, const void *data, size_t len, struct strbuf *out)
{
	const unsigned char *p = data;

	if (d->count == 0) {
		strbuf_add(out, data, len);
		return false;
	}

	for (size_t i = 0; i < len; i++) {
		while (d->matched > 0 && d->keys[d->matched] != p[i])
			fall_back(d, out);
		if (d->keys[d->matched] != p[i])
			strbuf_addc(out, (char)p[i]);
		else if (++d->matched == d->count)
			return true;
	}
	return false;
}

void detach_flush(struct detach *d, struct strbuf *out)
{
	strbuf_add(out, d->keys, d->matched);
	d->matched = 0;
}
