/* Names and inodes of a layer, in memory. */
#include <limits.h>
#include <string.h>

#include "store/erofs_priv.h"
#include "store/unpack_priv.h"

#define FIRST_SIZE 1024 /* slots of the table */
#define MAX_LINKS  40   /* symbolic links on one path: as path_resolution(7) */

struct erofs *erofs_new(void)
{
	struct erofs *x = xnew0(struct erofs);

	x->arena = arena_new();
	x->root = arena_new0(x->arena, struct erofs_node);
	x->root->parent = x->root;
	x->root->name = "";
	x->root->file = arena_new0(x->arena, struct erofs_file);
	x->root->file->mode = S_IFDIR | 0755;
	x->table_size = FIRST_SIZE;
	x->table = xnew0n(struct erofs_node *, x->table_size);
	return x;
}

struct erofs *erofs_free(struct erofs *x)
{
	if (!x)
		return NULL;
	free(x->table);
	free(x->links);
	(void)arena_free(x->arena);
	free(x);
	return NULL;
}

int64_t erofs_size(const struct erofs *x)
{
	return x->size;
}

/* ---- names ---- */

static uint64_t hash_of(const struct erofs_node *dir, const char *name)
{
	uint64_t h = 14695981039346656037ULL ^ (uintptr_t)dir; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211ULL;
	return h ^ h >> 29;
}

static void grow_table(struct erofs *x)
{
	size_t size = x->table_size * 2;
	struct erofs_node **table = xnew0n(struct erofs_node *, size);

	for (size_t i = 0; i < x->table_size; i++)
		for (struct erofs_node *n = x->table[i], *next; n; n = next) {
			next = n->next_hash;
			n->next_hash = table[n->hash % size];
			table[n->hash % size] = n;
		}
	free(x->table);
	x->table = table;
	x->table_size = size;
}

struct erofs_node *erofs_child(const struct erofs *x, const struct erofs_node *dir,
			       const char *name)
{
	uint64_t hash = hash_of(dir, name);

	for (struct erofs_node *n = x->table[hash % x->table_size]; n; n = n->next_hash)
		if (n->hash == hash && n->parent == dir && !n->dead && str_eq(n->name, name))
			return n;
	return NULL;
}

struct erofs_node *erofs_add(struct erofs *x, struct erofs_node *dir, const char *name,
			     struct erofs_file *file)
{
	struct erofs_node *n = arena_new0(x->arena, struct erofs_node);

	if (++x->n_nodes > x->table_size)
		grow_table(x);
	n->parent = dir;
	n->name = arena_strdup(x->arena, name);
	n->file = file;
	n->depth = dir->depth + 1;
	n->hash = hash_of(dir, name);
	n->next_hash = x->table[n->hash % x->table_size];
	x->table[n->hash % x->table_size] = n;
	n->next = dir->children;
	dir->children = n;
	return n;
}

void erofs_remove(struct erofs_node *n)
{
	n->dead = true;
}

void erofs_add_attr(struct erofs *x, struct erofs_file *f, const char *name, const void *value,
		    size_t len)
{
	struct erofs_attr *a = f->attrs;

	while (a && !str_eq(a->name, name))
		a = a->next;
	if (!a) {
		a = arena_new0(x->arena, struct erofs_attr);
		a->name = arena_strdup(x->arena, name);
		a->next = f->attrs;
		f->attrs = a;
	}
	a->value = arena_memdup(x->arena, value, len);
	a->len = len;
}

/* ---- paths ---- */

struct walk {
	const struct erofs *x;
	struct erofs_node *at;
	unsigned links;
	bool follow;
};

static int walk_path(struct walk *w, const char *path);

static int walk_step(struct walk *w, const char *name, size_t len)
{
	char copy[NAME_MAX + 1];
	struct erofs_node *n;

	if (len == 0 || (len == 1 && name[0] == '.'))
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		w->at = w->at->parent; /* the root's is the root */
		return 0;
	}
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(copy, name, len);
	copy[len] = '\0';
	n = erofs_child(w->x, w->at, copy);
	if (!n)
		return -ENOENT;
	if (S_ISDIR(n->file->mode)) {
		w->at = n;
		return 0;
	}
	if (!S_ISLNK(n->file->mode))
		return -ENOTDIR;
	if (!w->follow || ++w->links > MAX_LINKS)
		return -ELOOP;
	if (n->file->target[0] == '/')
		w->at = w->x->root;
	return walk_path(w, n->file->target);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as there may be links on a path */
static int walk_path(struct walk *w, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		int r = walk_step(w, path, len);

		if (r < 0)
			return r;
		path += len + (path[len] == '/');
	}
	return 0;
}

static int walk(const struct erofs *x, const char *path, bool follow, struct erofs_node **ret)
{
	struct walk w = {.x = x, .at = x->root, .follow = follow};
	int r = walk_path(&w, path);

	if (r >= 0)
		*ret = w.at;
	return r;
}

int erofs_walk(const struct erofs *x, const char *path, struct erofs_node **ret)
{
	return walk(x, path, true, ret);
}

int erofs_walk_plain(const struct erofs *x, const char *path, struct erofs_node **ret)
{
	return walk(x, path, false, ret);
}

/* Make a directory for which no entry came (yet). */
static int make_implied(struct erofs *x, struct erofs_node *above, const char *name,
			const char *for_path, struct error *err)
{
	struct erofs_node *n = erofs_child(x, above, name);
	struct erofs_file *f;

	if (n && !(S_ISCHR(n->file->mode) && n->file->rdev == 0))
		return unpack_refuse(err, for_path,
				     "what should be its directory is a file or a dangling link");
	if (above->depth >= UNPACK_MAX_DEPTH)
		return unpack_refuse(err, for_path, "too many directories below each other");
	f = arena_new0(x->arena, struct erofs_file);
	f->mode = S_IFDIR | 0755;
	f->opaque = n != NULL;
	if (n)
		erofs_remove(n);
	erofs_add(x, above, name, f)->implied = true;
	return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): once for each directory of a path */
int erofs_parent(struct erofs *x, const char *path, const char *for_path, struct erofs_node **ret,
		 struct error *err)
{
	for (int attempt = 0;; attempt++) {
		autofree char *dir = NULL;
		struct erofs_node *above;
		const char *name;
		int r = erofs_walk(x, path, ret);

		if (r >= 0)
			return 0;
		if (attempt > 0 || (r != -ENOENT && r != -ENOTDIR))
			return unpack_error(err, -r, for_path, "open its directory");
		dir = unpack_split(path, &name);
		r = erofs_parent(x, dir, for_path, &above, err);
		if (r >= 0)
			r = make_implied(x, above, name, for_path, err);
		if (r < 0)
			return r;
	}
}
