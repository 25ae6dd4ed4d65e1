/* A container's files: docker cp (archive), export, and changes. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/rootfs.h"
#include "linux/root.h"
#include "store/gzip_write.h"

#define STAT_HEADER "X-Docker-Container-Path-Stat"
#define STAT_MAX    16384                 /* bytes of the header's JSON */
#define ASIDE_MAX   ((uint64_t)256 << 20) /* bytes of an archive that is set aside */
#define ASIDE_SPARE ((uint64_t)64 << 20)  /* bytes that are left free on the disk */
#define COPY_SIZE   65536

/* -- what is at a path ---------------------------------------------------------------------- */

/* Go's os.FileMode, which clients are written in. */
static uint32_t go_mode(mode_t mode)
{
	static const struct {
		mode_t type;
		uint32_t bits;
	} types[] = {
		{S_IFDIR, 1U << 31}, {S_IFLNK, 1U << 27},  {S_IFBLK, 1U << 26},
		{S_IFIFO, 1U << 25}, {S_IFSOCK, 1U << 24}, {S_IFCHR, 1U << 26 | 1U << 21},
	};
	uint32_t bits = mode & 0777;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			bits |= types[i].bits;
	bits |= mode & S_ISUID ? 1U << 23 : 0;
	bits |= mode & S_ISGID ? 1U << 22 : 0;
	bits |= mode & S_ISVTX ? 1U << 20 : 0;
	return bits;
}

struct place {
	const char *shown; /* as it was asked for */
	char *path; /* owned: clean, without a leading slash, maybe with "/." behind; "." is the root */
	char *base; /* owned: its name in archives, and in the header */
	struct stat st;
	char *target; /* owned: a link's, as a path in the container; "" otherwise */
};

static void place_done(struct place *p)
{
	free(p->path);
	free(p->base);
	free(p->target);
}
#define autoplace __attribute__((cleanup(place_done)))

static int not_found(struct api_call *c, const char *path, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, 0, "Could not find the file %s in container %s",
			 path, c->params[0]);
}

static char *link_target(int fd, const char *path)
{
	char text[PATH_MAX], clean[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text) - 1);
	autofree char *whole = NULL;
	const char *slash = strrchr(path, '/');

	if (n < 0)
		return xstrdup("");
	text[n] = '\0';
	whole = text[0] == '/' || !slash ? xstrdup(text)
					 : xasprintf("%.*s/%s", (int)(slash - path), path, text);
	return root_clean_path(whole, clean, sizeof(clean)) < 0 ? xstrdup("")
								: xasprintf("/%s", clean);
}

static const char *base_of(const char *asked, size_t len, const char *clean)
{
	const char *slash = strrchr(clean, '/');

	if (len > 1 && asked[len - 1] == '.' && asked[len - 2] == '/')
		return "."; /* the contents: clients go by this name */
	return strcmp(clean, ".") == 0 ? "/" : slash ? slash + 1 : clean;
}

/* "dir/." and "dir/" mean what a link leads to, "dir" the link itself. */
static int look(struct api_call *c, int root_fd, struct place *ret, struct error *err)
{
	const char *asked = api_query(c, "path");
	size_t len = strlen(asked);
	bool follow = len > 0 && (asked[len - 1] == '/' ||
				  (asked[len - 1] == '.' && (len == 1 || asked[len - 2] == '/')));
	char clean[PATH_MAX];
	autoclose int fd = -EBADF;

	if (len == 0)
		return error_set(err, ERROR_INVALID, 0, "query parameter path is required");
	if (root_clean_path(asked, clean, sizeof(clean)) < 0)
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "path");
	ret->shown = asked;
	ret->path = xstrdup(clean);
	ret->base = xstrdup(base_of(asked, len, clean));
	fd = root_open(root_fd, clean, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
	if (fd < 0 || fstat(fd, &ret->st) < 0)
		return not_found(c, asked, err);
	if (follow && S_ISDIR(ret->st.st_mode) && strcmp(clean, ".") != 0) {
		free(ret->path);
		ret->path =
			xasprintf("%s/.", clean); /* what is packed is not followed at its end */
	}
	ret->target = S_ISLNK(ret->st.st_mode) ? link_target(fd, clean) : xstrdup("");
	return 0;
}

static void add_stat(struct api_call *c, const struct place *p)
{
	autostrbuf struct strbuf text = STRBUF_INIT(STAT_MAX), encoded = STRBUF_INIT(2 * STAT_MAX);
	char mtime[CLOCK_RFC3339_SIZE];
	struct json_writer w;

	clock_format_rfc3339((int64_t)p->st.st_mtim.tv_sec * 1000000000 + p->st.st_mtim.tv_nsec,
			     mtime);
	json_writer_init(&w, &text);
	jw_object(&w);
	jw_kstring(&w, "name", p->base);
	jw_kint(&w, "size", p->st.st_size);
	jw_kuint(&w, "mode", go_mode(p->st.st_mode));
	jw_kstring(&w, "mtime", mtime);
	jw_kstring(&w, "linkTarget", p->target);
	jw_object_end(&w);
	base64_encode(text.s, text.len, &encoded);
	http_set_header(c->req, STAT_HEADER, arena_strdup(http_request_arena(c->req), encoded.s));
}

int containers_archive_head(struct api_call *c, struct error *err)
{
	autoplace struct place place = {0};
	autoroot struct engine_root root = {0};
	int r = engine_root_open(c->engine, c->params[0], api_query(c, "path"), &root, err);

	r = r < 0 ? r : look(c, root.fd, &place, err);
	if (r < 0)
		return r;
	add_stat(c, &place);
	return api_answer_empty(c, 200);
}

/* A container that does not run is kept from everybody else while its files are read; a client that is
 * slow must not do so, least of all one that waits for another request on the same container
 * (`docker cp A:/x - | docker cp - A:/y`).  So the archive is set aside first, if it is of a moderate
 * size and the disk has room. */
struct aside {
	int fd; /* owned: a file without a name; -EBADF: nothing is set aside */
	uint64_t size;
};

static int write_aside(void *data, const void *buf, size_t len, struct error *err)
{
	struct aside *a = data;
	int r = a->size + len > ASIDE_MAX ? -EFBIG : fd_write_full(a->fd, buf, len);

	a->size += len;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "set the archive aside") : 0;
}

static int open_aside(struct api_call *c)
{
	autofree char *dir = xasprintf("%s/tmp", engine_get_args(c->engine)->data_root);

	return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Whether it is; else it must be sent as it is made. */
static bool set_aside(struct api_call *c, const struct tree_pack *pack, struct aside *ret)
{
	const struct stream_writer out = {.write = write_aside, .data = ret};

	ret->fd = open_aside(c);
	if (ret->fd >= 0 && tree_pack(pack, &out, NULL) >= 0 && lseek(ret->fd, 0, SEEK_SET) == 0)
		return true;
	fd_close(&ret->fd);
	return false;
}

static int send_archive(const struct tree_pack *pack, const struct aside *aside,
			const struct stream_writer *out, struct error *err)
{
	autofree char *buf = NULL;
	ssize_t n;

	if (aside->fd < 0)
		return tree_pack(pack, out, err);
	buf = xcalloc(COPY_SIZE, 1);
	while ((n = read(aside->fd, buf, COPY_SIZE)) > 0) {
		int r = out->write(out->data, buf, (size_t)n, err);

		if (r < 0)
			return r;
	}
	return n < 0 ? error_set(err, ERROR_INTERNAL, errno, "read the archive") : 0;
}

/* An archive on its way to a client who wants it compressed. */
struct packed {
	struct api_call *c;
	struct gzip_writer *gzip; /* owned */
	struct stream_writer to_gzip, to_client, plain;
};

static int write_packed(void *data, const void *buf, size_t len, struct error *err)
{
	struct packed *p = data;

	/* Not before: what fails without a byte is an error, which is not compressed. */
	if (!http_is_started(p->c->req))
		http_set_header(p->c->req, "Content-Encoding", "gzip");
	return p->plain.write(p->plain.data, buf, len, err);
}

static int write_gzip(void *data, const void *buf, size_t len, struct error *err)
{
	struct packed *p = data;

	return gzip_writer_write(p->gzip, buf, len, err);
}

/* Go's clients ask always; over a unix socket nothing is won by it. */
static bool wants_gzip(struct api_call *c)
{
	const char *accept = http_request_header(c->req, "Accept-Encoding");

	return accept && strcasestr(accept, "gzip") &&
	       strcmp(http_request_peer(c->req), "unix") != 0;
}

static int pack_for(struct api_call *c, const struct tree_pack *pack, const struct aside *aside,
		    struct error *err)
{
	struct packed p = {.c = c, .plain = api_tar_writer(c)};
	int r;

	if (!wants_gzip(c))
		return send_archive(pack, aside, &p.plain, err);
	p.to_client = (struct stream_writer){.write = write_packed, .data = &p};
	p.to_gzip = (struct stream_writer){.write = write_gzip, .data = &p};
	p.gzip = gzip_writer_new(&p.to_client);
	r = send_archive(pack, aside, &p.to_gzip, err);
	r = r < 0 ? r : gzip_writer_end(p.gzip, err);
	(void)gzip_writer_free(p.gzip);
	return r;
}

int containers_archive_get(struct api_call *c, struct error *err)
{
	struct aside aside = {.fd = -EBADF};
	autoplace struct place place = {0};
	autoroot struct engine_root root = {0};
	struct tree_pack pack = {0};
	int r = engine_root_open(c->engine, c->params[0], api_query(c, "path"), &root, err);

	r = r < 0 ? r : look(c, root.fd, &place, err);
	if (r < 0)
		return r;
	add_stat(c, &place);
	pack = (struct tree_pack){
		.root_fd = root.fd, .path = place.path, .name = place.base, .ids = root.ids};
	if (root.has_operation && set_aside(c, &pack, &aside))
		engine_root_done(&root);
	r = pack_for(c, &pack, &aside, err);
	fd_close(&aside.fd);
	if (r < 0)
		return r;
	engine_note(c->engine, c->params[0], "archive-path");
	(void)http_end(c->req);
	return 0;
}

/* -- putting -------------------------------------------------------------------------------- */

/* A volume may be writable though the root is not, and the other way round. */
static int check_writable(const struct engine_root *root, const struct place *p, struct error *err)
{
	autoclose int fd = root_open(root->fd, p->path, O_PATH, 0);
	struct statvfs fs;
	struct stat top, st;
	bool on_root;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0 || fstat(root->fd, &top) < 0)
		return 0; /* what comes next says so */
	on_root = st.st_dev == top.st_dev;
	if (on_root && ((fs.f_flag & ST_RDONLY) || root->container->spec->host.readonly_rootfs))
		return error_set(err, ERROR_FORBIDDEN, 0, "container rootfs is marked read-only");
	if (fs.f_flag & ST_RDONLY)
		return error_set(err, ERROR_FORBIDDEN, 0, "mounted volume is marked read-only");
	return 0;
}

/* What of a body has been set aside, then the rest of it. */
struct body {
	struct aside aside;
	struct stream_reader rest;
};

static ssize_t read_body(void *data, void *buf, size_t size, struct error *err)
{
	struct body *b = data;
	ssize_t n = b->aside.fd < 0 ? 0 : read(b->aside.fd, buf, size);

	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the archive");
	return n > 0 ? n : b->rest.read(b->rest.data, buf, size, err);
}

/* It is needed twice for a moment. */
static bool has_room(const struct aside *a)
{
	struct statvfs st;

	return fstatvfs(a->fd, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize >= a->size + ASIDE_SPARE;
}

/* As much as is wanted; where there is no room, the container waits for the client. */
static int take_body(struct api_call *c, struct body *b, struct error *err)
{
	autofree char *buf = xcalloc(COPY_SIZE, 1);
	ssize_t n = 0;

	b->aside.fd = open_aside(c);
	while (b->aside.fd >= 0 && b->aside.size + COPY_SIZE <= ASIDE_MAX && has_room(&b->aside) &&
	       (n = b->rest.read(b->rest.data, buf, COPY_SIZE, err)) > 0)
		if (write_aside(&b->aside, buf, (size_t)n, err) < 0)
			return -EIO;
	if (n < 0)
		return (int)n;
	if (b->aside.fd >= 0 && lseek(b->aside.fd, 0, SEEK_SET) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the archive");
	return 0;
}

static int open_place(struct api_call *c, struct engine_root *root, struct place *place,
		      struct error *err)
{
	int r = engine_root_open(c->engine, c->params[0], api_query(c, "path"), root, err);

	r = r < 0 ? r : look(c, root->fd, place, err);
	return r < 0 ? r : check_writable(root, place, err);
}

static int put(struct api_call *c, struct body *body, struct error *err)
{
	const struct stream_reader in = {.read = read_body, .data = body};
	autoplace struct place place = {0};
	autoroot struct engine_root root = {0};
	struct tree_unpack unpack = {0};
	int r = open_place(c, &root, &place, err);

	if (r >= 0 && root.has_operation) { /* as in set_aside() */
		engine_root_done(&root);
		place_done(&place);
		place = (struct place){0};
		r = take_body(c, body, err);
		r = r < 0 ? r : open_place(c, &root, &place, err);
	}
	if (r < 0)
		return r;
	unpack = (struct tree_unpack){
		.root_fd = root.fd,
		.path = place.path,
		.keep_kinds = api_query_bool(c, "noOverwriteDirNonDir"),
		.ids = root.ids,
	};
	unpack.owned = api_query_bool(c, "copyUIDGID") &&
		       engine_root_user(&root, &unpack.uid, &unpack.gid);
	r = tree_unpack(&unpack, &in, err);
	if (r < 0)
		return r;
	engine_note(c->engine, c->params[0], "extract-to-dir");
	return api_answer_empty(c, 200);
}

int containers_archive_put(struct api_call *c, struct error *err)
{
	struct body body = {.aside = {.fd = -EBADF}, .rest = api_body_reader(c)};
	int r = put(c, &body, err);

	fd_close(&body.aside.fd);
	return r;
}

/* -- export and changes --------------------------------------------------------------------- */

int containers_export(struct api_call *c, struct error *err)
{
	const struct stream_writer out = api_tar_writer(c);
	autoroot struct engine_root root = {0};
	struct tree_pack pack = {0};
	int r = engine_root_open(c->engine, c->params[0], NULL, &root, err);

	if (r < 0)
		return r;
	pack = (struct tree_pack){.root_fd = root.fd,
				  .path = ".",
				  .name = "",
				  .one_file_system = true,
				  .ids = root.ids};
	r = tree_pack(&pack, &out, err);
	if (r < 0)
		return r;
	engine_note(c->engine, c->params[0], "export");
	(void)http_end(c->req);
	return 0;
}

static int write_change(void *data, enum tree_change kind, const char *path)
{
	struct json_writer *w = data;

	jw_object(w);
	jw_kstring(w, "Path", path);
	jw_kint(w, "Kind", (int)kind);
	jw_object_end(w);
	return 0;
}

int containers_changes(struct api_call *c, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	autojson struct api_json j = {0};
	int r = engine_snapshot(c->engine, c->params[0], &snap, err);

	if (r < 0)
		return r;
	api_json_init(&j);
	jw_array(&j.w);
	r = tree_changes(snap.upper, (const char *const *)snap.lower.v, snap.lower.n, write_change,
			 &j.w, err);
	jw_array_end(&j.w);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}
