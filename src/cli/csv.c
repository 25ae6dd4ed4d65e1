/* Comma-separated values. */
#include "cli/csv.h"

#include <string.h>

#include "base/mem.h"

#define FIELD_MAX (1 << 20)

static int bad_quote(const char *s, const char *at, const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "parse error on line 1, column %zu: %s",
			 (size_t)(at - s) + 1, what);
}

/* From the opening quote of a field to behind its closing one; NULL: an error. */
static const char *quoted(const char *s, const char *p, struct strv *ret, struct error *err)
{
	static const char stray[] = "extraneous or missing \" in quoted-field";
	autostrbuf struct strbuf field = STRBUF_INIT(FIELD_MAX);

	for (p++; *p; p++) {
		if (*p == '"' && p[1] != '"')
			break;
		strbuf_addc(&field, *p);
		p += *p == '"';
	}
	if (!*p || (p[1] && p[1] != ',')) {
		(void)bad_quote(s, p, stray, err);
		return NULL;
	}
	if (strbuf_error(&field) < 0) {
		(void)error_set(err, ERROR_INVALID, E2BIG, "comma-separated values");
		return NULL;
	}
	strv_add(ret, field.s);
	return p + 1;
}

int csv_split(const char *s, struct strv *ret, struct error *err)
{
	const char *p = s;

	if (!*s)
		return error_set(err, ERROR_INVALID, 0, "EOF");
	for (;;) {
		if (*p == '"') {
			p = quoted(s, p, ret, err);
			if (!p)
				return -EINVAL;
		} else {
			size_t len = strcspn(p, ",");
			const char *quote = memchr(p, '"', len);

			if (quote)
				return bad_quote(s, quote, "bare \" in non-quoted-field", err);
			strv_add_take(ret, xstrndup(p, len));
			p += len;
		}
		if (!*p)
			return 0;
		p++;
	}
}
