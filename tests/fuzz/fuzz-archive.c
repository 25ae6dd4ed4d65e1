/* An image archive of any documents is loaded or refused; either way the store is whole, and empty again
 * when its images are removed.
 *
 * The input is documents with NULs between them: manifest.json, index.json, then blobs, named by their
 * digests.  "@0" to "@9" in a document stand for the digest of a later blob, "@L" for that of a layer that
 * is always there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "store/db.h"
#include "store/fsck.h"
#include "store/store.h"
#include "store/tar_write.h"

#include "fuzz.h"

#define MAX_DOCUMENTS 10
#define MAX_ARCHIVE   ((size_t)16 << 20)

static char root_path[64];
static struct db *db;
static struct store *store;

static void remove_root(void)
{
	store = store_free(store);
	db = db_free(db);
	(void)file_remove_tree(AT_FDCWD, root_path, NULL);
}

static void open_store(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	(void)snprintf(root_path, sizeof(root_path), "%s/vessel-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root_path))
		abort();
	fd = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (db_open(fd, "vessel.db", &db, NULL) < 0 || store_open(fd, db, &store, NULL) < 0)
		abort();
	(void)close(fd);
	(void)atexit(remove_root);
}

static int put(void *data, const void *p, size_t len, struct error *err)
{
	(void)err;
	strbuf_add(data, p, len);
	return 0;
}

static void make_layer(struct strbuf *out, char digest[static DIGEST_STRING_SIZE])
{
	const struct stream_writer w = {.write = put, .data = out};

	if (tar_write_file(&w, "file", "content", 7, NULL) < 0 || tar_write_end(&w, NULL) < 0)
		abort();
	sha256_of(out->s, out->len, digest);
}

struct document {
	const char *text; /* borrowed */
	size_t len;
	struct strbuf done; /* owned: with digests in it */
	char digest[DIGEST_STRING_SIZE];
};

/* The last first: what comes later is what an earlier one can name. */
static void fill(struct document *v, size_t n, size_t i, const char *layer)
{
	struct document *d = &v[i];

	for (size_t k = 0; k < d->len; k++) {
		unsigned char next = k + 1 < d->len ? (unsigned char)d->text[k + 1] : 0;
		size_t to = (size_t)(next - '0') + 2; /* blobs begin behind the first two */

		if (d->text[k] != '@' || (next != 'L' && (to >= n || to <= i || next < '0'))) {
			strbuf_addc(&d->done, d->text[k]);
			continue;
		}
		strbuf_adds(&d->done, digest_hex(next == 'L' ? layer : v[to].digest));
		k++;
	}
	sha256_of(d->done.s, d->done.len, d->digest);
}

static size_t split(const uint8_t *data, size_t size, struct document *v)
{
	size_t n = 0;

	for (const char *p = (const char *)data, *end = p + size; p < end && n < MAX_DOCUMENTS;) {
		const char *stop = memchr(p, 0, (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);

		v[n++] = (struct document){.text = p, .len = len, .done = STRBUF_INIT(1 << 20)};
		p += len + 1;
	}
	return n;
}

static void make_archive(struct document *v, size_t n, struct strbuf *out)
{
	static const char *const names[] = {"manifest.json", "index.json"};
	autostrbuf struct strbuf layer = STRBUF_INIT(1 << 20);
	const struct stream_writer w = {.write = put, .data = out};
	char digest[DIGEST_STRING_SIZE], path[128];

	make_layer(&layer, digest);
	for (size_t i = n; i-- > 0;)
		fill(v, n, i, digest);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(v[i].digest));
		if (v[i].len > 0)
			(void)tar_write_file(&w, i < 2 ? names[i] : path, v[i].done.s,
					     v[i].done.len, NULL);
	}
	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
	(void)tar_write_file(&w, path, layer.s, layer.len, NULL);
	(void)tar_write_end(&w, NULL);
}

static void remove_all(void)
{
	autostore_image_list struct store_image_list list = {0};

	if (store_image_list(store, &list, NULL) < 0)
		abort();
	for (size_t i = 0; i < list.n; i++) {
		autostore_removed_list struct store_removed_list removed = {0};
		const struct store_remove_args args = {.ref = list.v[i].id, .force = true};

		if (store_image_remove(store, &args, &removed, NULL) < 0)
			abort();
	}
}

static void check(void)
{
	const struct fsck_args args = {.deep = true};
	struct fsck_result result;

	if (fsck_run(store, &args, &result, NULL) < 0 || result.problems > 0)
		abort();
	remove_all();
	if (fsck_run(store, &args, &result, NULL) < 0 || result.problems > 0 || result.images > 0 ||
	    result.layers > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autostrbuf struct strbuf archive = STRBUF_INIT(MAX_ARCHIVE);
	autostore_loaded_list struct store_loaded_list loaded = {0};
	struct document v[MAX_DOCUMENTS];
	autoerror struct error err = {0};
	struct stream_memory m;
	struct stream_reader in;
	size_t n;
	int r;

	if (!store)
		open_store();
	n = split(data, size, v);
	make_archive(v, n, &archive);
	m = (struct stream_memory){.p = archive.s, .len = archive.len};
	in = stream_reader_memory(&m);
	r = store_load(store, &in, NULL, &loaded, &err);
	if ((r < 0) != (err.msg != NULL) || (r < 0 && err.kind == ERROR_INTERNAL))
		abort();
	check();
	for (size_t i = 0; i < n; i++)
		strbuf_done(&v[i].done);
	return 0;
}
