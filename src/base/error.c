/* The error object that is carried, not logged. */
#include "base/error.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

static const char *const kind_names[] = {
	[ERROR_INTERNAL] = "internal",
	[ERROR_INVALID] = "invalid",
	[ERROR_NOT_FOUND] = "not_found",
	[ERROR_CONFLICT] = "conflict",
	[ERROR_FORBIDDEN] = "forbidden",
	[ERROR_UNAUTHORIZED] = "unauthorized",
	[ERROR_UNAVAILABLE] = "unavailable",
	[ERROR_NOT_MODIFIED] = "not_modified",
	[ERROR_NOT_IMPLEMENTED] = "not_implemented",
};
static_assert(ARRAY_SIZE(kind_names) == ERROR_KIND_COUNT, "a name for each kind");

int error_set(struct error *err, enum error_kind kind, int errnum, const char *fmt, ...)
{
	if (err) {
		autofree char *what = NULL;
		char buf[128];
		va_list ap;

		va_start(ap, fmt);
		what = xvasprintf(fmt, ap);
		va_end(ap);

		error_done(err);
		err->kind = kind;
		err->errnum = errnum;
		/* The GNU strerror_r in glibc; musl has the POSIX one, whose text is in buf. */
#ifdef __GLIBC__
		err->msg = errnum > 0
				   ? xasprintf("%s: %s", what, strerror_r(errnum, buf, sizeof(buf)))
				   : TAKE_PTR(what);
#else
		if (errnum > 0 && strerror_r(errnum, buf, sizeof(buf)) != 0)
			buf[0] = '\0';
		err->msg = errnum > 0 ? xasprintf("%s: %s", what, buf) : TAKE_PTR(what);
#endif
	}

	return errnum > 0 ? -errnum : -EIO;
}

int error_wrap(struct error *err, int r, const char *fmt, ...)
{
	if (err) {
		autofree char *what = NULL, *inner = NULL;
		va_list ap;

		va_start(ap, fmt);
		what = xvasprintf(fmt, ap);
		va_end(ap);

		inner = TAKE_PTR(err->msg);
		err->msg = xasprintf("%s: %s", what, inner ? inner : "unknown error");
	}

	return r;
}

int error_move(struct error *dst, struct error *src, int r)
{
	if (dst) {
		error_done(dst);
		*dst = *src;
		*src = (struct error){0};
	} else {
		error_done(src);
	}
	return r;
}

const char *error_msg(const struct error *err)
{
	return err->msg ? err->msg : "unknown error";
}

const char *error_kind_name(enum error_kind kind)
{
	assert(kind < ERROR_KIND_COUNT);
	return kind_names[kind];
}

enum error_kind error_kind_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_names); i++)
		if (name && strcmp(name, kind_names[i]) == 0)
			return (enum error_kind)i;
	return ERROR_INTERNAL;
}

void error_done(struct error *err)
{
	free(err->msg);
	*err = (struct error){0};
}
