/* Which format layers are kept in: what this kernel and this file system can, unless told. */
#include <stdio.h>

#include "base/log.h"
#include "linux/mount.h"
#include "store/mounts.h"
#include "store/store_priv.h"

#define EMPTY_TAR_SIZE (2 * TAR_BLOCK_SIZE)

/* An overlay on the probe's layer; without an upper directory, whose file system would be synced at its end. */
static int probe_overlay(struct store *s, const char *name, struct error *err)
{
	autofree char *empty = xasprintf("%s/layers/empty/diff", s->root_path);
	autoclose int fd = layer_mount(s->tmp_fd, name, err), overlay_fd = -EBADF;
	char path[64];
	const char *const lower[] = {path, empty};
	const struct mount_overlay overlay = {.lower = lower, .lower_count = ARRAY_SIZE(lower)};

	if (fd < 0)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	overlay_fd = mount_new_overlay(&overlay, err);
	return overlay_fd < 0 ? overlay_fd : 0;
}

/* Can layers be EROFS images here?  0, or why not. */
static int probe(struct store *s, struct error *err)
{
	static const char zeros[EMPTY_TAR_SIZE];
	static const struct unpack_lower none;
	struct stream_memory m = {.p = zeros, .len = sizeof(zeros)};
	struct stream_reader in = stream_reader_memory(&m);
	autolayer_stage struct layer_stage *l = NULL;
	char name[STORE_NAME_SIZE];
	int r;

	store_tmp_name(s, name);
	r = layer_stage_new_erofs(s->tmp_fd, name, &in, &l, err);
	if (r >= 0)
		r = layer_stage_finish(l, &none, err);
	return r < 0 ? r : probe_overlay(s, name, err);
}

/* Those of layers that are gone: the daemon was killed before it could say so. */
static void drop_stale(struct store *s)
{
	autostrv struct strv names = {0};

	mounts_list(s->mounts, &names);
	for (size_t i = 0; i < names.n; i++)
		if (layer_format_of(s->layers_fd, names.v[i]) != LAYER_EROFS)
			mounts_drop(s->mounts, names.v[i]);
}

int store_layers_open(struct store *s, const struct store_layers_args *args, struct error *err)
{
	autoerror struct error why = {0};
	int r;

	s->mounts = mounts_new(args->run_dir, args->holder);
	drop_stale(s);
	if (args->format == STORE_LAYERS_DIRECTORY)
		return 0;
	r = args->holder ? probe(s, &why)
			 : error_set(&why, ERROR_UNAVAILABLE, 0,
				     "vessel-layers is neither beside vesseld nor in "
				     "libexec/vessel");
	if (r >= 0) {
		s->format = LAYER_EROFS;
		return 0;
	}
	if (args->format == STORE_LAYERS_AUTO) {
		log_debug("layers are directories: %s", error_msg(&why));
		return 0;
	}
	r = error_move(err, &why, r);
	return error_wrap(err, r, "layers cannot be EROFS images here");
}

void store_layers_release(struct store *s)
{
	autostrv struct strv names = {0};

	if (!s->mounts)
		return;
	mounts_list(s->mounts, &names);
	for (size_t i = 0; i < names.n; i++)
		mounts_drop(s->mounts, names.v[i]);
}

const char *store_layers_format(const struct store *s)
{
	return s->format == LAYER_EROFS ? "erofs" : "directory";
}
