/* A layer becomes a directory or a well-formed EROFS image, or is refused, as either in the same words; it gives
 * back its tar, and leaves nothing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "store/erofs.h"
#include "store/layer.h"

#include "fuzz.h"

static char root_path[64];

static void remove_root(void)
{
	(void)file_remove_tree(AT_FDCWD, root_path, NULL);
}

static int open_root(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(root_path, sizeof(root_path), "%s/vessel-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root_path))
		abort();
	(void)atexit(remove_root);
	return open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void check_empty(int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *e;

	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			abort();
	(void)closedir(dir);
}

static void check_tar(int root, const struct layer_stage *l)
{
	autofree char *buf = xcalloc(1, 65536);
	autosha256 struct sha256 *sha = sha256_new();
	autolayer_tar struct layer_tar *t = NULL;
	char digest[DIGEST_STRING_SIZE];
	struct stream_reader in;
	int dir = openat(root, l->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), blob = -EBADF;
	ssize_t n;

	if (l->blob_digest[0])
		blob = openat(dir, "blob", O_RDONLY | O_CLOEXEC);
	if (layer_tar_open(dir, blob, l->tar_size, &t, NULL) < 0)
		abort();
	in = layer_tar_reader(t);
	while ((n = in.read(in.data, buf, 65536, NULL)) > 0)
		sha256_update(sha, buf, (size_t)n);
	sha256_digest(sha, digest);
	if (n < 0 || strcmp(digest, l->diff_id) != 0)
		abort();
}

static void check_image(int root, const struct layer_stage *l)
{
	autofree char *index = xasprintf("%s/index", l->name), *tar = xasprintf("%s/tar", l->name);
	autoclose int fd = openat(root, index, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstatat(root, tar, &st, 0) < 0 || erofs_check(fd, st.st_size, NULL) < 0)
		abort();
}

static int stage(int root, enum layer_format format, const uint8_t *data, size_t size,
		 struct error *err)
{
	static const struct unpack_lower no_lower;
	struct stream_memory m = {.p = data, .len = size};
	struct stream_reader in = stream_reader_memory(&m);
	struct layer_stage *l = NULL;
	int r;

	r = format == LAYER_EROFS ? layer_stage_new_erofs(root, "x", &in, &l, err)
				  : layer_stage_new(root, "x", &in, &l, err);
	if (r >= 0)
		r = layer_stage_finish(l, &no_lower, err);
	if ((r < 0) != (err->msg != NULL))
		abort();
	if (r >= 0)
		check_tar(root, l);
	if (r >= 0 && l->format == LAYER_EROFS)
		check_image(root, l);
	(void)layer_stage_free(l);
	check_empty(root);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoerror struct error directory = {0}, image = {0};
	static int root = -1;
	int r;

	if (root < 0)
		root = open_root();
	r = stage(root, LAYER_DIRECTORY, data, size, &directory);
	/* A directory may be refused by its file system for what an image does not mind. */
	if (stage(root, LAYER_EROFS, data, size, &image) < 0 && r >= 0)
		abort();
	return 0;
}
