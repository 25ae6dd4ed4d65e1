/* A chain of zeroed chunks; the newest is filled by moving a cursor. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CHUNK 2048u
#define MAX_CHUNK   (256u * 1024)
#define ALIGNMENT   alignof(max_align_t)

struct chunk {
	struct chunk *next; /* older */
	size_t size;        /* of data */
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *chunks; /* owned, newest first; the first takes new allocations */
	size_t pos;           /* cursor in chunks->data */
	size_t last;          /* where the last allocation from that chunk began */
	size_t used;
};

static void chunk_add(struct arena *a, size_t size)
{
	struct chunk *c;

	if (size > SIZE_MAX / 2)
		abort();
	c = xcalloc(1, sizeof(*c) + size);
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	a->pos = 0;
	a->last = 0;
}

struct arena *arena_new(void)
{
	return arena_new_of(FIRST_CHUNK);
}

struct arena *arena_new_of(size_t size)
{
	struct arena *a = xnew0(struct arena);

	chunk_add(a, size);
	return a;
}

/* What does not fit and is large gets a chunk of its own behind the current one, which goes on. */
static void *alloc_alone(struct arena *a, size_t size)
{
	struct chunk *c;

	if (size > SIZE_MAX / 2)
		abort();
	c = xcalloc(1, sizeof(*c) + size);
	c->size = size;
	c->next = a->chunks->next;
	a->chunks->next = c;
	a->used += size;
	return c->data;
}

static void *alloc_aligned(struct arena *a, size_t size, size_t alignment)
{
	size_t start = (a->pos + alignment - 1) & ~(alignment - 1);
	size_t chunk_size = a->chunks->size;

	if (start > chunk_size || size > chunk_size - start) {
		if (size > MAX_CHUNK / 4)
			return alloc_alone(a, size);
		chunk_size = chunk_size >= MAX_CHUNK / 2 ? MAX_CHUNK : 2 * chunk_size;
		while (chunk_size < size)
			chunk_size *= 2;
		chunk_add(a, chunk_size);
		start = 0;
	}
	a->last = start;
	a->pos = start + size;
	a->used += size;
	return a->chunks->data + start;
}

void *arena_alloc(struct arena *a, size_t size)
{
	/* Never two objects at one address, and never one past the chunk. */
	return alloc_aligned(a, size ? size : 1, ALIGNMENT);
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(alloc_aligned(a, n, 1), s, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = alloc_aligned(a, len + 1, 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	void *q = arena_alloc(a, n);

	if (n > 0)
		memcpy(q, p, n);
	return q;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char buf[256], *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();

	p = alloc_aligned(a, (size_t)n + 1, 1);
	if ((size_t)n < sizeof(buf)) {
		memcpy(p, buf, (size_t)n + 1);
		return p;
	}
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void *arena_realloc(struct arena *a, void *p, size_t old_size, size_t size)
{
	struct chunk *c = a->chunks;
	void *q;

	if (p && p == c->data + a->last && a->last + old_size == a->pos &&
	    size <= c->size - a->last) {
		a->pos = a->last + size;
		if (size < old_size) /* handed-out memory is always zeroed */
			memset(c->data + a->pos, 0, old_size - size);
		a->used += size - old_size;
		return p;
	}
	if (p && size <= old_size)
		return p;
	q = arena_alloc(a, size);
	if (p && old_size > 0)
		memcpy(q, p, old_size);
	return q;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

struct arena *arena_free(struct arena *a)
{
	struct chunk *c;

	if (!a)
		return NULL;
	while ((c = a->chunks) != NULL) {
		a->chunks = c->next;
		free(c);
	}
	free(a);
	return NULL;
}
