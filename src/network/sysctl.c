/* Network settings under /proc/sys/net. */
#include "network/sysctl.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/procfs.h"

#define SYSCTL_MAX 256 /* bytes of a value */

int sysctl_open(struct error *err)
{
	int fd = open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '/proc/sys/net'");
	return fd;
}

/* The value without its newline; NULL if it cannot be read. */
static char *read_value(int root, const char *path)
{
	char *text = NULL;

	if (file_read(root, path, SYSCTL_MAX, &text, NULL, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

int sysctl_set_at(int dir_fd, const char *path, const char *value, struct error *err)
{
	autofree char *now = read_value(dir_fd, path);

	if (now && strcmp(now, value) == 0)
		return 0;
	return file_write_value(dir_fd, path, value, err);
}

int sysctl_set(const char *path, const char *value, struct error *err)
{
	autoclose int root = sysctl_open(err);

	return root < 0 ? root : sysctl_set_at(root, path, value, err);
}

/* One for some dozen visits: making and closing it costs as much as looking at a thousand. */
#define VISITS_MAX 64

/* A namespace of a container: its directory "net" is found among those of the visits before. */
static int open_visited(const char *path)
{
	static struct {
		pthread_mutex_t lock;
		int proc_fd;
		unsigned visits;
	} own = {.lock = PTHREAD_MUTEX_INITIALIZER, .proc_fd = -EBADF};
	int fd = -1;

	(void)pthread_mutex_lock(&own.lock);
	if (own.visits++ % VISITS_MAX == 0) {
		fd_close(&own.proc_fd);
		own.proc_fd = procfs_new();
	}
	if (own.proc_fd >= 0)
		fd = openat(own.proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)pthread_mutex_unlock(&own.lock);
	return fd;
}

int sysctl_link_open(const char *family, const char *link, struct error *err)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s", family, link);
	fd = open_visited(path + strlen("/proc/"));
	if (fd < 0)
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", path) : fd;
}

int sysctl_set_link(const char *family, const char *link, const char *key, const char *value,
		    struct error *err)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/conf/%s/%s", family, link, key);
	return sysctl_set(path, value, err);
}

bool sysctl_is_at(int dir_fd, const char *path, const char *value)
{
	autofree char *now = read_value(dir_fd, path);

	return now && strcmp(now, value) == 0;
}

bool sysctl_has_ipv6(void)
{
	static atomic_int known; /* the kernel's, for good: 1 yes, 2 no */
	int k = atomic_load(&known);

	if (k == 0) {
		k = access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0 ? 1 : 2;
		atomic_store(&known, k);
	}
	return k == 1;
}

static void closedirp_(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

static int keep_router_advertisements(int root, struct error *err)
{
	__attribute__((cleanup(closedirp_))) DIR *dir = NULL;
	int fd = openat(root, "ipv6/conf", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '/proc/sys/net/ipv6/conf'");
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_set(err, ERROR_INTERNAL, errno, "list '/proc/sys/net/ipv6/conf'");
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		autofree char *path = xasprintf("ipv6/conf/%s/accept_ra", e->d_name), *now = NULL;

		/* "default" is for links to come, our bridges among them; "all" has no effect. */
		if (e->d_name[0] == '.' || str_eq(e->d_name, "all") ||
		    str_eq(e->d_name, "default") || str_eq(e->d_name, "lo"))
			continue;
		now = read_value(root, path);
		if (now && str_eq(now, "1"))
			(void)file_write_value(root, path, "2", NULL); /* the link may be gone */
	}
	return 0;
}

int sysctl_enable_forwarding(bool with_ipv6, struct error *err)
{
	autoclose int root = sysctl_open(err);
	autofree char *now = NULL;
	int r;

	if (root < 0)
		return root;
	r = sysctl_set("ipv4/ip_forward", "1", err);
	if (r < 0 || !with_ipv6)
		return r;
	now = read_value(root, "ipv6/conf/all/forwarding");
	if (now && str_eq(now, "1"))
		return 0;
	r = keep_router_advertisements(root, err);
	if (r < 0)
		return r;
	return sysctl_set("ipv6/conf/all/forwarding", "1", err);
}
