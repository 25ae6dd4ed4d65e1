/* A layer of dockerd's as the tar it was: headers and padding from its tar-split, contents from its tree.
 *
 * The tar-split is gzip of a JSON object a line: {"type":2,"payload":BASE64} is a piece of the tar as it
 * was, {"type":1,"name":PATH,"size":N} stands for the N bytes of a file ("name_raw", BASE64, instead of
 * a name that is no UTF-8).  Entries without contents, directories and links, have size 0 or none.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "linux/root.h"
#include "store/compress.h"
#include "store/docker.h"

#define LINE_MAX_BYTES ((size_t)64 << 20) /* of JSON: headers with xattrs may be large */
#define READ_SIZE      ((size_t)65536)

enum { ENTRY_FILE = 1, ENTRY_SEGMENT = 2 };

struct docker_tar {
	int split_fd, tree_fd; /* owned */
	struct stream_reader file;
	struct decompress *z; /* owned */
	struct strbuf lines;  /* what has been decompressed and not parsed yet */
	struct strbuf piece;  /* of the tar, as it is */
	size_t piece_at;      /* of it, read already */
	struct strbuf name;   /* of the file that is read */
	int content_fd;       /* owned; its contents */
	int64_t left;         /* of them, bytes */
	bool ended;
};

int docker_tar_open(int split_fd_take, int tree_fd_take, struct docker_tar **ret, struct error *err)
{
	struct docker_tar *t = xnew0(struct docker_tar);
	int r;

	t->split_fd = split_fd_take;
	t->tree_fd = tree_fd_take;
	t->content_fd = -EBADF;
	strbuf_init(&t->lines, LINE_MAX_BYTES);
	strbuf_init(&t->piece, LINE_MAX_BYTES);
	strbuf_init(&t->name, 65536);
	t->file = stream_reader_fd(&t->split_fd);
	r = decompress_new(&t->file, &t->z, err);
	if (r < 0) {
		(void)docker_tar_free(t);
		return error_wrap(err, r, "tar-split");
	}
	*ret = t;
	return 0;
}

struct docker_tar *docker_tar_free(struct docker_tar *t)
{
	if (t) {
		(void)decompress_free(t->z);
		fd_close(&t->split_fd);
		fd_close(&t->tree_fd);
		fd_close(&t->content_fd);
		strbuf_done(&t->lines);
		strbuf_done(&t->piece);
		strbuf_done(&t->name);
		free(t);
	}
	return NULL;
}

/* 1: *ret_len bytes at the front of `lines` are a line; 0: there is none any more. */
static int next_line(struct docker_tar *t, size_t *ret_len, struct error *err)
{
	struct stream_reader in = decompress_reader(t->z);
	size_t looked = 0;

	for (;;) {
		const char *end = memchr(t->lines.s + looked, '\n', t->lines.len - looked);
		char *room;
		ssize_t n;

		if (end || (t->ended && t->lines.len > 0)) {
			*ret_len = end ? (size_t)(end - t->lines.s) : t->lines.len;
			return 1;
		}
		if (t->ended)
			return 0;
		looked = t->lines.len;
		room = strbuf_reserve(&t->lines, READ_SIZE);
		if (!room)
			return error_set(err, ERROR_INVALID, 0, "tar-split: a line is too long");
		n = in.read(in.data, room, READ_SIZE, err);
		if (n < 0)
			return (int)n;
		t->ended = n == 0;
		strbuf_advance(&t->lines, (size_t)n);
	}
}

static int open_content(struct docker_tar *t, const struct json *entry, struct error *err)
{
	const char *raw = json_get_string(entry, "name_raw");
	struct stat st;

	strbuf_reset(&t->name);
	if (!raw)
		strbuf_adds(&t->name, json_get_string(entry, "name") ?: "");
	else if (base64_decode(raw, strlen(raw), &t->name) < 0)
		return error_set(err, ERROR_INVALID, 0, "tar-split: bad name");
	t->content_fd = root_open(t->tree_fd, t->name.s, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
				  ROOT_NO_SYMLINKS);
	if (t->content_fd < 0)
		return error_set(err, ERROR_INTERNAL, -t->content_fd, "open '%s'", t->name.s);
	if (fstat(t->content_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, 0, "'%s' is no regular file", t->name.s);
	return 0;
}

static int take_entry(struct docker_tar *t, const struct json *entry, struct error *err)
{
	int64_t type = json_get_int(entry, "type"), size = json_get_int(entry, "size");
	const char *payload = json_get_string(entry, "payload");

	if (type == ENTRY_FILE) {
		t->left = size;
		return size > 0 ? open_content(t, entry, err) : 0;
	}
	if (type != ENTRY_SEGMENT || !payload)
		return error_set(err, ERROR_INVALID, 0, "tar-split: unknown entry");
	strbuf_reset(&t->piece);
	t->piece_at = 0;
	if (base64_decode(payload, strlen(payload), &t->piece) < 0)
		return error_set(err, ERROR_INVALID, 0, "tar-split: bad payload");
	return 0;
}

/* 1: there is something to read again; 0: the end. */
static int next_entry(struct docker_tar *t, struct error *err)
{
	size_t len = 0;
	int r = next_line(t, &len, err);

	if (r > 0) {
		autoarena struct arena *a = arena_new();
		const struct json *entry;

		r = json_parse(a, t->lines.s, len, &entry, err);
		if (r < 0)
			return error_wrap(err, r, "tar-split");
		r = take_entry(t, entry, err);
		strbuf_drop(&t->lines, len < t->lines.len ? len + 1 : len);
		return r < 0 ? r : 1;
	}
	return r;
}

static ssize_t read_content(struct docker_tar *t, void *buf, size_t size, struct error *err)
{
	ssize_t n;

	do
		n = read(t->content_fd, buf, (int64_t)size < t->left ? size : (size_t)t->left);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read '%s'", t->name.s);
	if (n == 0)
		return error_set(err, ERROR_INVALID, 0, "'%s' is shorter than it was", t->name.s);
	t->left -= n;
	if (t->left == 0)
		fd_close(&t->content_fd);
	return n;
}

static ssize_t read_tar(void *data, void *buf, size_t size, struct error *err)
{
	struct docker_tar *t = data;

	for (;;) {
		size_t n = t->piece.len - t->piece_at;
		int r;

		if (t->content_fd >= 0)
			return read_content(t, buf, size, err);
		if (n > 0) {
			n = n < size ? n : size;
			memcpy(buf, t->piece.s + t->piece_at, n);
			t->piece_at += n;
			return (ssize_t)n;
		}
		r = next_entry(t, err);
		if (r <= 0)
			return r;
	}
}

struct stream_reader docker_tar_reader(struct docker_tar *t)
{
	return (struct stream_reader){.read = read_tar, .data = t};
}
