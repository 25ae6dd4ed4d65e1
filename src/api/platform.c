/* This machine. */
#include "api/platform.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define OS_RELEASE_MAX 65536

/* The value of KEY=value or KEY="value"; malloc'd, NULL if it is not there. */
static char *os_release_get(const char *text, const char *key)
{
	size_t len = strlen(key), n;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, len) != 0 || line[len] != '=')
			continue;
		line += len + 1;
		n = strcspn(line, "\n");
		if (n >= 2 && *line == '"' && line[n - 1] == '"')
			return xstrndup(line + 1, n - 2);
		return xstrndup(line, n);
	}
	return NULL;
}

char *platform_os_name(char **ret_version)
{
	autofree char *text = NULL;
	char *name = NULL;

	*ret_version = NULL;
	if (file_read(AT_FDCWD, "/etc/os-release", OS_RELEASE_MAX, &text, NULL, NULL) >= 0) {
		name = os_release_get(text, "PRETTY_NAME");
		*ret_version = os_release_get(text, "VERSION_ID");
	}
	if (!*ret_version)
		*ret_version = xstrdup("");
	return name ? name : xstrdup("Linux");
}

int64_t platform_memory(void)
{
	return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

int64_t platform_tree_size(const char *path)
{
	autofree char *root = xstrdup(path);
	char *const paths[] = {root, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *e;
	int64_t size = 0;

	if (!fts)
		return 0;
	while ((e = fts_read(fts)))
		if (e->fts_info == FTS_F || e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE)
			size += e->fts_statp->st_size;
	(void)fts_close(fts);
	return size;
}

int64_t platform_count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int64_t n = dir ? -2 : 0; /* . and .. */

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}
