/* base/str.h - bounded string building, and strict parsing of what outsiders write.
 *
 * A strbuf is always NUL-terminated (`s` is "" when empty) and never grows past `max`; the first
 * append that would is dropped whole and makes the error sticky: strbuf_error() is then -E2BIG.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strbuf {
	char *s;    /* owned; points to a static "" until the first append */
	size_t len; /* bytes, without the NUL */
	size_t cap;
	size_t max; /* limit for len, bytes */
	int err;    /* 0 or -E2BIG */
};

void strbuf_init(struct strbuf *b, size_t max);
void strbuf_done(struct strbuf *b); /* accepts a zeroed one */
#define autostrbuf __attribute__((cleanup(strbuf_done)))
#define STRBUF_INIT(limit)                         \
	{                                          \
		.s = strbuf_empty_, .max = (limit) \
	}
extern char strbuf_empty_[1];

void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* Room for at least `n` more bytes at b->s + b->len; NULL (and -E2BIG) past max.  Write there,
 * then strbuf_advance(). */
char *strbuf_reserve(struct strbuf *b, size_t n);
void strbuf_advance(struct strbuf *b, size_t n);
void strbuf_drop(struct strbuf *b, size_t n); /* remove n bytes from the front */
void strbuf_reset(struct strbuf *b);          /* empty, clears the error, keeps memory */
int strbuf_error(const struct strbuf *b);
char *strbuf_take(struct strbuf *b); /* the caller owns the string; *b is empty again */

/* Whole-string, decimal, no sign tricks, no spaces; -EINVAL or -ERANGE; *ret untouched then. */
int str_parse_u64(const char *s, uint64_t *ret);
int str_parse_i64(const char *s, int64_t *ret);
int str_parse_u32(const char *s, uint32_t *ret);
int str_parse_int(const char *s, int *ret);
int str_parse_octal(const char *s, uint32_t *ret); /* file modes: "0755", "755" */

bool str_eq(const char *a, const char *b);                  /* NULL equals only NULL */
bool str_empty(const char *s);                              /* NULL or "" */
bool str_is_one_of(const char *s, const char *const *list); /* which ends with NULL */
size_t str_path_depth(const char *path); /* how many names it has: 2 for "/a//b/" */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* Copy at most size-1 bytes and terminate; returns false if it did not fit. */
bool str_copy(char *dst, size_t size, const char *src);
/* The path's last component, pointing into it ("" for "a/"). */
const char *str_basename(const char *path);

bool utf8_valid(const char *s, size_t len);
/* Length of the one valid UTF-8 sequence that begins at s (1 to 4), 0 if there is none. */
size_t utf8_sequence(const char *s, size_t len);
int hex_value(char c); /* of a digit of either case; -1 for what is none */
void hex_encode(const void *data, size_t len, char *ret); /* ret: 2*len+1 bytes, lower case */
int hex_decode(const char *s, size_t len, void *ret);     /* -EINVAL; ret: len/2 bytes */
bool str_is_hex(const char *s, size_t len);               /* lower case only, as digests are */
/* Standard or URL alphabet, padding optional on input; appended to b.  -EINVAL. */
int base64_decode(const char *s, size_t len, struct strbuf *b);
void base64_encode(const void *data, size_t len, struct strbuf *b);

/* Array of owned strings, NULL-terminated, as argv and envp are. */
struct strv {
	char **v; /* owned, NULL while empty */
	size_t n, cap;
};
void strv_add(struct strv *v, const char *s);
void strv_addf(struct strv *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_add_take(struct strv *v, char *s_take);
bool strv_has(const struct strv *v, const char *s);
void strv_done(struct strv *v);
#define autostrv __attribute__((cleanup(strv_done)))
