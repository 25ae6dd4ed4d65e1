/* engine/reserve.c - some bytes set aside, so that a full disk can be emptied.
 *
 * Removing something writes first: the tombstone in the database, whose log grows.  On a disk without
 * a free byte nothing could be removed then, nor the daemon started.  So a file of RESERVE_SIZE lies
 * in the data root, which goes when space has run out and somebody removes something.
 */
#include "engine/reserve.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"

#define RESERVE_NAME "reserve"
#define RESERVE_SIZE ((off_t)4 << 20) /* bytes: the database's log of some hundred commits */
#define FREE_MIN     ((uint64_t)1 << 20)
#define FREE_PLENTY  ((uint64_t)4 * RESERVE_SIZE)

static bool has_free(const struct engine *e, uint64_t bytes)
{
	struct statvfs st;

	/* f_bfree: what is kept for root is ours. */
	return fstatvfs(e->data_fd, &st) < 0 || (uint64_t)st.f_bfree * st.f_frsize >= bytes;
}

bool engine_has_space(const struct engine *e)
{
	return has_free(e, FREE_MIN);
}

void reserve_use(struct engine *e)
{
	if (has_free(e, FREE_MIN))
		return;
	if (unlinkat(e->data_fd, RESERVE_NAME, 0) == 0)
		log_warn("data root '%s' is full: its reserve is given up", e->data_root);
}

void reserve_renew(struct engine *e)
{
	autoclose int fd = -EBADF;

	if (faccessat(e->data_fd, RESERVE_NAME, F_OK, 0) == 0 || !has_free(e, FREE_PLENTY))
		return;
	fd = openat(e->data_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd >= 0 && fallocate(fd, 0, 0, RESERVE_SIZE) < 0)
		(void)unlinkat(e->data_fd, RESERVE_NAME, 0);
}
