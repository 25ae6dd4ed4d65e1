/* A layer is unpacked or refused, gives back its tar, and leaves nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_memory m = {.p = data, .len = size};
	struct stream_reader in = stream_reader_memory(&m);
	autoerror struct error err = {0};
	struct layer_stage *l = NULL;
	static const struct unpack_lower no_lower;
	static int root = -1;
	int r;

	if (root < 0)
		root = open_root();
	r = layer_stage_new(root, "x", &in, &l, &err);
	if (r >= 0)
		r = layer_stage_finish(l, &no_lower, &err);
	if ((r < 0) != (err.msg != NULL))
		abort();
	if (r >= 0)
		check_tar(root, l);
	(void)layer_stage_free(l);
	check_empty(root);
	return 0;
}
