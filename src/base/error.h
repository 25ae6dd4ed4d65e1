/* base/error.h - the one error type that crosses module boundaries.
 *
 * Contract: a fallible function takes `struct error *err` last and returns a negative errno.  It
 * returns < 0 if and only if it filled *err.  `err` may be NULL when the caller does not care
 * (cleanup paths).  A zeroed struct error is a valid empty one.
 *
 * Messages: lower case, what was attempted, the object in single quotes, cause last, no full
 * stop: "start container 'web': mount overlay: Invalid argument".
 */
#pragma once

#include <errno.h>

/* What the API answers with; one table in api/ maps kinds to HTTP status.  Never derived from an
 * errno: ENOENT of a binary is not a 404. */
enum error_kind {
	ERROR_INTERNAL, /* zero value: an unclassified failure */
	ERROR_INVALID,
	ERROR_NOT_FOUND,
	ERROR_CONFLICT,
	ERROR_FORBIDDEN,
	ERROR_UNAUTHORIZED,
	ERROR_UNAVAILABLE,
	ERROR_NOT_MODIFIED,
	ERROR_NOT_IMPLEMENTED,
	ERROR_KIND_COUNT,
};

struct error {
	enum error_kind kind;
	int errnum; /* what the kernel said, positive; 0 if none */
	char *msg;  /* "outer context: inner cause", owned */
};

/* Fill *err and return -errnum (-EIO if errnum is 0), so callers can `return` it.  With
 * errnum > 0 the message gets ": <strerror>" appended. */
int error_set(struct error *err, enum error_kind kind, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));

/* Prefix context to an error a callee has set; returns `r` unchanged. */
int error_wrap(struct error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Move *src into *dst (which may be NULL) and empty *src; returns `r`. */
int error_move(struct error *dst, struct error *src, int r);

/* The message, never NULL. */
const char *error_msg(const struct error *err);

/* Stable lower-case name of a kind ("not_found") and back; used on the shim's socket. */
const char *error_kind_name(enum error_kind kind);
enum error_kind error_kind_parse(const char *name); /* unknown: ERROR_INTERNAL */

void error_done(struct error *err);
#define autoerror __attribute__((cleanup(error_done)))
