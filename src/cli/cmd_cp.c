/* cp: files between a container and the host, or a tar archive on standard input or output.
 *
 * What lands where depends on whether the destination is there and is a directory, on a trailing "/" or
 * "/." of either path, and on links, as with Docker's client.  Whatever the destination is to be called
 * becomes the name that the archive has at its top: archives from the host are packed with it, those of
 * the engine are renamed while they are unpacked.  On the host an archive cannot lead out of the
 * directory that it is unpacked in.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "http/client.h"
#include "store/stream.h"
#include "store/tree.h"

#define STAT_HEADER  "X-Docker-Container-Path-Stat"
#define STAT_MAX     65536 /* bytes of what it says */
#define MAX_SYMLINKS 10    /* at the end of a destination */
#define GO_DIRECTORY (1U << 31)
#define GO_LINK      (1U << 27)
#define GO_SPECIAL   (1U << 26 | 1U << 25 | 1U << 24 | 1U << 21 | 1U << 19)

struct cp_options {
	bool archive, follow, quiet;
};

static const struct flag cp_flags[] = {
	FLAG(struct cp_options, "archive", 'a', FLAG_BOOL, archive,
	     "Archive mode (copy all uid/gid information)"),
	FLAG(struct cp_options, "follow-link", 'L', FLAG_BOOL, follow,
	     "Always follow symbol link in SRC_PATH"),
	FLAG(struct cp_options, "quiet", 'q', FLAG_BOOL, quiet,
	     "Suppress progress output during copy"),
	{0},
};

struct copy {
	struct cli *cli;
	const struct cp_options *options;
	const char *container;
	bool quiet;
	uint64_t bytes; /* of the archive */
};

/* One end of a copy.  Strings are the command's. */
struct end {
	const char *path; /* clean, but for what was behind it */
	const char *name; /* what it was called, if not as its path ends; or NULL */
	bool exists, is_dir;
};

/* ---- paths ------------------------------------------------------------------------------------- */

static bool ends_in_slash(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] == '/';
}

/* "dir/." and ".": the contents. */
static bool is_contents(const char *path)
{
	const char *slash = strrchr(path, '/');

	return str_eq(slash ? slash + 1 : path, ".");
}

/* Without doubled slashes, "." and "..", as text; what stands behind the last component is lost. */
static const char *clean(struct arena *a, const char *path)
{
	bool absolute = path[0] == '/';
	autostrv struct strv parts = {0};
	autostrbuf struct strbuf out = STRBUF_INIT(PATH_MAX * 2);

	while (*path) {
		size_t n = strcspn(path, "/");
		bool up = n == 2 && strncmp(path, "..", 2) == 0;

		if (up && parts.n > 0 && !str_eq(parts.v[parts.n - 1], ".."))
			free(parts.v[--parts.n]);
		else if (n > 0 && !(n == 1 && *path == '.') && !(up && absolute))
			strv_add_take(&parts, xstrndup(path, n));
		path += n + (path[n] == '/');
	}
	for (size_t i = 0; i < parts.n; i++)
		strbuf_addf(&out, "%s%s", i > 0 || absolute ? "/" : "", parts.v[i]);
	return out.len > 0 ? arena_strdup(a, out.s) : absolute ? "/" : ".";
}

/* Clean, but "." and "/" at the end, which mean something, are kept. */
static const char *clean_keeping(struct arena *a, const char *path)
{
	const char *text = clean(a, path);

	if (is_contents(path) && !is_contents(text))
		return arena_printf(a, "%s/.", str_eq(text, "/") ? "" : text);
	if (ends_in_slash(path) && !ends_in_slash(text))
		return arena_printf(a, "%s/", text);
	return text;
}

/* Directory and last component of what clean_keeping made; "x/." is "x" and ".". */
static void split(struct arena *a, const char *path, const char **ret_dir, const char **ret_base)
{
	const char *text = clean(a, path), *slash;

	if (is_contents(path)) {
		*ret_dir = text;
		*ret_base = ".";
		return;
	}
	slash = strrchr(text, '/');
	*ret_base = !slash ? text : slash[1] ? slash + 1 : "/";
	*ret_dir = !slash          ? "."
		   : slash == text ? "/"
				   : arena_strndup(a, text, (size_t)(slash - text));
}

static const char *base_of(struct arena *a, const char *path)
{
	const char *text = clean(a, path), *slash = strrchr(text, '/');

	if (is_contents(path))
		return ".";
	return slash && slash[1] ? slash + 1 : text;
}

static const char *join(struct arena *a, const char *dir, const char *name)
{
	return clean_keeping(a, arena_printf(a, "%s/%s", dir, name));
}

/* A link's target, from where the link is. */
static const char *link_path(struct arena *a, const char *link, const char *target)
{
	const char *dir, *base;

	if (target[0] == '/')
		return target;
	split(a, link, &dir, &base);
	return join(a, dir, target);
}

/* `asked` led to `found`: what stood behind it does so still, and its name is remembered. */
static void rename_found(struct arena *a, const char *asked, const char *found, struct end *ret)
{
	if (is_contents(asked) && !is_contents(found))
		found = arena_printf(a, "%s/.", found);
	if (ends_in_slash(asked) && !ends_in_slash(found))
		found = arena_printf(a, "%s/", found);
	ret->path = found;
	ret->name = str_eq(base_of(a, asked), base_of(a, found)) ? NULL : base_of(a, asked);
}

/* Where an archive of `from` goes, and what it is called there (NULL: what it is). */
static int settle(struct arena *a, const struct end *from, const struct end *to,
		  const char **ret_dir, const char **ret_name, struct error *err)
{
	if (to->exists && to->is_dir) {
		*ret_dir = to->path;
		*ret_name = from->name;
		return 0;
	}
	if (to->exists && from->is_dir)
		return error_set(err, ERROR_INVALID, 0, "cannot copy directory");
	if (!to->exists && !from->is_dir && (ends_in_slash(to->path) || is_contents(to->path)))
		return error_set(err, ERROR_INVALID, 0, "no such directory");
	split(a, to->path, ret_dir, ret_name);
	return 0;
}

/* ---- the container's side ---------------------------------------------------------------------- */

struct container_stat {
	uint32_t mode; /* Go's */
	const char *target;
};

static int read_stat(struct cli *cli, const struct http_response *response,
		     struct container_stat *ret, struct error *err)
{
	const char *header = http_response_header(response, STAT_HEADER);
	autostrbuf struct strbuf text = STRBUF_INIT(STAT_MAX);
	const struct json *doc;

	if (!header || base64_decode(header, strlen(header), &text) < 0 ||
	    json_parse(cli->arena, text.s, text.len, &doc, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, 0, "the engine does not say what is there");
	ret->mode = (uint32_t)json_get_int(doc, "mode");
	ret->target = json_get_string(doc, "linkTarget") ?: "";
	return 0;
}

static const char *archive_path(const struct copy *c, const char *path)
{
	return cli_path(c->cli, "/containers/%s/archive?path=%s", cli_escape(c->cli, c->container),
			cli_escape(c->cli, path));
}

static int stat_container(const struct copy *c, const char *path, struct container_stat *ret,
			  struct error *err)
{
	struct http_client_request req = {.method = "HEAD"};
	struct http_response *response = NULL;
	int r = cli_send(c->cli, &req, archive_path(c, path), &response, err);

	if (r < 0)
		return r;
	r = read_stat(c->cli, response, ret, err);
	(void)http_response_free(response);
	return r;
}

/* What is not there, or cannot be looked at, is left for the copy to say. */
static int look_container(const struct copy *c, const char *path, struct end *ret,
			  struct error *err)
{
	struct arena *a = c->cli->arena;
	struct container_stat st = {0};
	autoerror struct error why = {0};
	bool found = stat_container(c, path, &st, &why) >= 0;

	ret->path = path;
	if (found && st.mode & GO_LINK) {
		ret->path = link_path(a, path, st.target);
		found = stat_container(c, ret->path, &st, NULL) >= 0;
	}
	if (found && st.mode & GO_SPECIAL)
		return error_set(err, ERROR_INVALID, 0,
				 "destination \"%s:%s\" must be a directory or a regular file",
				 c->container, path);
	ret->exists = found;
	ret->is_dir = found && st.mode & GO_DIRECTORY;
	return 0;
}

/* ---- words ------------------------------------------------------------------------------------- */

static void tell(const struct copy *c, const char *to)
{
	autostrbuf struct strbuf size = STRBUF_INIT(64);

	if (c->quiet)
		return;
	output_size((double)c->bytes, 3, &size);
	(void)fprintf(stderr, "Successfully copied %s to %s\n", size.s, to);
}

/* ---- into a container -------------------------------------------------------------------------- */

struct packing {
	struct tree_pack args;
	struct copy *copy;
	int fd; /* owned */
	struct error err;
	int r;
	bool reader_gone; /* its end is the request's error, or none */
};

static int write_pipe(void *data, const void *buf, size_t len, struct error *err)
{
	struct packing *p = data;
	int r = fd_write_full(p->fd, buf, len);

	p->copy->bytes += len;
	p->reader_gone = r == -EPIPE;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write the archive") : 0;
}

static void *pack(void *data)
{
	struct packing *p = data;
	const struct stream_writer out = {.write = write_pipe, .data = p};

	p->r = tree_pack(&p->args, &out, &p->err);
	fd_close(&p->fd);
	return NULL;
}

static int upload(const struct copy *c, const char *dir, int fd, struct error *err)
{
	struct http_response *response = NULL;
	int r = cli_upload(c->cli, "PUT",
			   cli_path(c->cli, "%s&noOverwriteDirNonDir=true%s", archive_path(c, dir),
				    c->options->archive ? "&copyUIDGID=true" : ""),
			   fd, &response, err);

	(void)http_response_free(response);
	return r;
}

static int pack_and_upload(struct copy *c, const struct tree_pack *args, const char *dir,
			   struct error *err)
{
	struct packing p = {.args = *args, .copy = c};
	autoerror struct error why = {0};
	pthread_t thread;
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a pipe");
	p.fd = pipe_fds[1];
	(void)signal(SIGPIPE, SIG_IGN);
	r = pthread_create(&thread, NULL, pack, &p);
	if (r != 0) {
		fd_close(&pipe_fds[0]);
		fd_close(&pipe_fds[1]);
		return error_set(err, ERROR_UNAVAILABLE, r, "start a thread");
	}
	r = upload(c, dir, pipe_fds[0], &why);
	fd_close(&pipe_fds[0]);
	(void)pthread_join(thread, NULL);
	/* An archive that breaks off is no news if we know why it did. */
	if (p.r < 0 && !p.reader_gone)
		r = error_move(err, &p.err, p.r);
	else if (r < 0)
		r = error_move(err, &why, r);
	error_done(&p.err);
	return r;
}

static int host_error(struct error *err, const char *path)
{
	int errnum = errno;

	if (errnum == ENOENT)
		return error_set(err, ERROR_NOT_FOUND, 0, "lstat %s: no such file or directory",
				 path);
	return error_set(err, ERROR_INVALID, errnum, "lstat %s", path);
}

/* Links before the last component are always followed; that one with -L, or for what is behind it. */
static int look_source(const struct copy *c, const char *path, struct end *ret, struct error *err)
{
	struct arena *a = c->cli->arena;
	bool whole = c->options->follow || ends_in_slash(path) || is_contents(path);
	const char *dir, *base, *found;
	autofree char *real = NULL;
	struct stat st;

	split(a, path, &dir, &base);
	real = realpath(whole ? path : dir, NULL);
	if (!real)
		return host_error(err, path);
	found = whole ? arena_strdup(a, real) : join(a, real, base);
	rename_found(a, path, found, ret);
	if (lstat(found, &st) < 0)
		return host_error(err, path);
	ret->exists = true;
	ret->is_dir = S_ISDIR(st.st_mode);
	if (!ret->is_dir && whole && !c->options->follow)
		return error_set(err, ERROR_INVALID, ENOTDIR, "lstat %s", path);
	return 0;
}

/* Absolute, with what stands behind it. */
static int absolute(struct arena *a, const char *path, const char **ret, struct error *err)
{
	autofree char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	if (path[0] != '/' && !here)
		return error_set(err, ERROR_INTERNAL, errno, "current directory");
	*ret = path[0] == '/' ? clean_keeping(a, path) : join(a, here, path);
	return 0;
}

static int copy_in(struct copy *c, const char *from, const char *path, struct error *err)
{
	struct arena *a = c->cli->arena;
	struct end source = {0}, to = {0};
	autoclose int root = -EBADF;
	const char *dir, *name = NULL, *parent, *base;
	struct tree_pack args;
	int r = look_container(c, path, &to, err);

	if (r < 0)
		return r;
	if (str_eq(from, "-")) {
		if (!to.is_dir)
			return error_set(err, ERROR_INVALID, 0,
					 "destination \"%s:%s\" must be a directory", c->container,
					 path);
		return upload(c, to.path, STDIN_FILENO, err);
	}
	r = absolute(a, from, &from, err);
	r = r < 0 ? r : look_source(c, from, &source, err);
	r = r < 0 ? r : settle(a, &source, &to, &dir, &name, err);
	if (r < 0)
		return r;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '/'");
	split(a, source.path, &parent, &base);
	args = (struct tree_pack){.root_fd = root, .path = source.path, .name = name ? name : base};
	r = pack_and_upload(c, &args, dir, err);
	if (r >= 0)
		tell(c, cli_path(c->cli, "%s:%s", c->container, path));
	return r;
}

/* ---- out of a container ------------------------------------------------------------------------ */

struct download {
	struct http_response *response;
	struct copy *copy;
};

static ssize_t read_response(void *data, void *buf, size_t size, struct error *err)
{
	const struct download *d = data;
	ssize_t n = http_response_read(d->response, buf, size, err);

	if (n > 0)
		d->copy->bytes += (uint64_t)n;
	return n;
}

/* Where it does not lead anywhere, its directory must be there. */
static int look_destination(struct arena *a, const char *path, struct end *ret, struct error *err)
{
	char target[PATH_MAX];
	const char *asked = path, *dir, *base;
	struct stat st;
	int r = lstat(path, &st);

	for (int i = 0; r == 0 && S_ISLNK(st.st_mode); i++) {
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		if (n < 0 || i >= MAX_SYMLINKS)
			return error_set(err, ERROR_INVALID, 0, "too many symlinks in %s", asked);
		target[n] = '\0';
		path = arena_strdup(a, link_path(a, path, target));
		r = lstat(path, &st);
	}
	*ret = (struct end){
		.path = path, .exists = r == 0, .is_dir = r == 0 && S_ISDIR(st.st_mode)};
	if (r == 0 && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(
			err, ERROR_INVALID, 0,
			"invalid output path: \"%s\" must be a directory or a regular file", asked);
	if (r == 0)
		return 0;
	if (errno != ENOENT)
		return host_error(err, asked);
	split(a, path, &dir, &base);
	if (is_contents(path))
		return error_set(err, ERROR_INVALID, 0, "stat %s: no such file or directory", dir);
	if (stat(dir, &st) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid output path: directory \"%s\" does not exist", dir);
	return S_ISDIR(st.st_mode) ? 0 : error_set(err, ERROR_INVALID, ENOTDIR, "%s", dir);
}

/* -L: from where a link leads, under the link's name. */
static void follow_in_container(const struct copy *c, struct end *from)
{
	struct arena *a = c->cli->arena;
	struct container_stat st;
	const char *asked = from->path;

	if (c->options->follow && stat_container(c, asked, &st, NULL) >= 0 && st.mode & GO_LINK)
		rename_found(a, asked, link_path(a, asked, st.target), from);
}

static int unpack(struct copy *c, struct http_response *response, const struct end *from,
		  const char *to, struct error *err)
{
	struct arena *a = c->cli->arena;
	struct download d = {response, c};
	const struct stream_reader in = {.read = read_response, .data = &d};
	struct tree_unpack args = {.path = ".",
				   .keep_kinds = true,
				   .owned = true,
				   .uid = geteuid(),
				   .gid = getegid(),
				   .lenient = true};
	const char *dir, *name, *parent, *base;
	autoclose int root = -EBADF;
	struct end place;
	int r = look_destination(a, to, &place, err);

	r = r < 0 ? r : settle(a, from, &place, &dir, &name, err);
	if (r < 0)
		return r;
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, ERROR_INVALID, errno, "open '%s'", dir);
	split(a, from->path, &parent, &base);
	args.root_fd = root;
	args.from = name ? base : NULL;
	args.to = name;
	return tree_unpack_plain(&args, &in, err);
}

static int copy_out(struct copy *c, const char *path, const char *to, struct error *err)
{
	struct http_client_request req = {.method = "GET"};
	struct http_response *response = NULL;
	struct end from = {.path = path};
	struct container_stat st = {0};
	int r = 0;

	follow_in_container(c, &from);
	if (str_eq(to, "-"))
		return cli_download(c->cli, archive_path(c, from.path), NULL, err);
	r = absolute(c->cli->arena, to, &to, err);
	r = r < 0 ? r : cli_send(c->cli, &req, archive_path(c, from.path), &response, err);
	if (r < 0)
		return r;
	r = read_stat(c->cli, response, &st, err);
	from.exists = true;
	from.is_dir = st.mode & GO_DIRECTORY;
	r = r < 0 ? r : unpack(c, response, &from, to, err);
	(void)http_response_free(response);
	if (r >= 0)
		tell(c, to);
	return r;
}

/* "container:path"; a path of the host has a slash or a dot first, or no colon. */
static const char *split_place(struct cli *cli, const char *place, const char **ret_path)
{
	const char *colon = strchr(place, ':');

	*ret_path = place;
	if (place[0] == '/' || place[0] == '.' || !colon)
		return NULL;
	*ret_path = colon + 1;
	return arena_strndup(cli->arena, place, (size_t)(colon - place));
}

static int cmd_cp(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct copy c = {.cli = cli, .options = in->options};
	const char *from_path, *to_path;
	const char *from = split_place(cli, in->parsed.args[0], &from_path);
	const char *to = split_place(cli, in->parsed.args[1], &to_path);

	if (!*from_path)
		return error_set(err, ERROR_INVALID, 0, "source can not be empty");
	if (!*to_path)
		return error_set(err, ERROR_INVALID, 0, "destination can not be empty");
	if (from && to)
		return error_set(err, ERROR_INVALID, 0,
				 "copying between containers is not supported");
	if (!from && !to)
		return error_set(err, ERROR_INVALID, 0,
				 "must specify at least one container source");
	if (from && str_eq(to_path, "-") && isatty(STDOUT_FILENO))
		return error_set(
			err, ERROR_INVALID, 0,
			"cowardly refusing to write an archive to a terminal: redirect it");
	c.container = from ? from : to;
	c.quiet = flags_changed(cp_flags, &in->parsed, "quiet") ? c.options->quiet
								: !isatty(STDERR_FILENO);
	return from ? copy_out(&c, from_path, to_path, err) : copy_in(&c, from_path, to_path, err);
}

const struct command cp_commands[] = {
	{.name = "cp",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-|SRC_PATH|- CONTAINER:DEST_PATH",
	 .help = "Copy files/folders between a container and the local filesystem",
	 .flags = cp_flags,
	 .options_size = sizeof(struct cp_options),
	 .min_args = 2,
	 .max_args = 2,
	 .run = cmd_cp},
	{0},
};
