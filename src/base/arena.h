/* base/arena.h - memory freed all at once: one arena a request, a document or a plan.
 *
 * Allocation aborts on exhaustion like base/mem.h; documents from outside are bounded by their
 * parser's limits before they reach an arena.  Not thread-safe.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/mem.h"

struct arena;

struct arena *arena_new(void);
/* With room for that many bytes at first: what is not used costs address space alone. */
struct arena *arena_new_of(size_t size);
/* Zeroed memory, aligned for any type; lives until arena_free. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *a, const char *s, size_t n) __attribute__((returns_nonnull));
void *arena_memdup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
/* Extend the last allocation in place when possible, else copy (old_size bytes). */
void *arena_realloc(struct arena *a, void *p, size_t old_size, size_t size)
	__attribute__((returns_nonnull));
size_t arena_used(const struct arena *a);  /* bytes handed out */
struct arena *arena_free(struct arena *a); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct arena, arena_free);
#define autoarena __attribute__((cleanup(arena_freep_)))

#define arena_new0(a, type)     ((type *)arena_alloc((a), sizeof(type)))
#define arena_new0n(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))
