/* What layers take of the disk: their trees, what rebuilds their tars, the blobs they came in. */
#include <fts.h>
#include <sys/stat.h>

#include "store/store_priv.h"

/* As du(1) counts, with each name of a file taking its part of it. */
static int64_t tree_usage(const struct store *s, const char *name)
{
	autofree char *path = xasprintf("%s/%s", s->root_path, name);
	char *const paths[] = {path, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	int64_t size = 0;
	FTSENT *e;

	if (!fts)
		return 0;
	while ((e = fts_read(fts))) {
		const struct stat *st = e->fts_statp;

		if (e->fts_info == FTS_DP || e->fts_info == FTS_NS || e->fts_info == FTS_ERR)
			continue;
		size += (int64_t)st->st_blocks * 512 /
			(S_ISDIR(st->st_mode) || st->st_nlink == 0 ? 1 : (int64_t)st->st_nlink);
	}
	(void)fts_close(fts);
	return size;
}

int64_t store_layers_usage(struct store *s)
{
	return tree_usage(s, "layers") + tree_usage(s, "blobs");
}
