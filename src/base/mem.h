/* base/mem.h - allocation that cannot fail, and scope-bound release.
 *
 * Running out of memory aborts the process: containers live in their shims and survive a daemon
 * restart.  Anything whose size an outsider chooses goes into a bounded buffer (base/str.h)
 * instead, which reports -E2BIG.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, alloc_size(2), returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap)
	__attribute__((format(printf, 1, 0), returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define xnew0(type)     ((type *)xcalloc(1, sizeof(type)))
#define xnew0n(type, n) ((type *)xcalloc((n), sizeof(type)))

/* Make room for one more element in a growing array: `cap` and `n` are size_t lvalues. */
#define xgrow(array, n, cap)                                                  \
	do {                                                                  \
		if ((n) == (cap)) {                                           \
			(cap) = (cap) ? 2 * (cap) : 8;                        \
			(array) = xrealloc((array), (cap), sizeof(*(array))); \
		}                                                             \
	} while (0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void freep_(void *p)
{
	free(*(void **)p);
}

static inline void closep_(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

#define autofree  __attribute__((cleanup(freep_)))
#define autoclose __attribute__((cleanup(closep_)))

/* Hand ownership out of a variable, leaving its empty value behind. */
#define TAKE_(var, empty)                       \
	({                                      \
		__auto_type take_p_ = &(var);   \
		__auto_type take_v_ = *take_p_; \
		*take_p_ = (empty);             \
		take_v_;                        \
	})
#define TAKE_PTR(p) TAKE_(p, NULL)
#define TAKE_FD(fd) TAKE_(fd, -EBADF)

/* Close *fd if open and leave -EBADF there. */
void fd_close(int *fd);

/* After DEFINE_CLEANUP(struct foo, foo_free): `autoclean(foo) struct foo *f = NULL;` with
 * #define autofoo __attribute__((cleanup(foo_freep_))). */
#define DEFINE_CLEANUP(type, fn)            \
	static inline void fn##p_(type **p) \
	{                                   \
		if (*p)                     \
			(void)fn(*p);       \
	}                                   \
	struct swallow_semicolon_
