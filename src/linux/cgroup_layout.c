/* What cgroup file systems are mounted, and which controllers are where. */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"

#define MOUNTINFO_MAX ((size_t)4 << 20)

static struct hierarchy *layout_add(struct cgroup_layout *l, const char *name,
				    const char *controllers, int fd, bool is_v2)
{
	xgrow(l->hierarchies, l->count, l->cap);
	l->hierarchies[l->count++] = (struct hierarchy){.name = xstrdup(name),
							.controllers = xstrdup(controllers),
							.root_fd = fd,
							.is_v2 = is_v2};
	return &l->hierarchies[l->count - 1];
}

static void layout_set_mode(struct cgroup_layout *l)
{
	bool v1 = false, v2 = false;

	for (size_t i = 0; i < l->count; i++) {
		/* A lone named hierarchy (systemd's) controls nothing: that is v2 with a relic. */
		v1 = v1 || (!l->hierarchies[i].is_v2 &&
			    !str_has_prefix(l->hierarchies[i].controllers, "name="));
		v2 = v2 || l->hierarchies[i].is_v2;
	}
	l->mode = v1 && v2 ? CGROUP_MODE_HYBRID : v1 ? CGROUP_MODE_V1 : CGROUP_MODE_V2;
	for (size_t i = 0; i < l->count; i++)
		l->hierarchies[i].rules = l->hierarchies[i].is_v2 == (l->mode == CGROUP_MODE_V2);
}

enum cgroup_mode cgroup_layout_mode(const struct cgroup_layout *l)
{
	return l->mode;
}

size_t cgroup_layout_count(const struct cgroup_layout *l)
{
	return l->count;
}

void cgroup_layout_get(const struct cgroup_layout *l, size_t i, struct cgroup_hierarchy *ret)
{
	const struct hierarchy *h = &l->hierarchies[i];

	assert(i < l->count);
	*ret = (struct cgroup_hierarchy){.name = h->name,
					 .controllers = h->controllers,
					 .mount_point = h->path,
					 .own = h->own,
					 .is_v2 = h->is_v2};
}

struct cgroup_layout *cgroup_layout_free(struct cgroup_layout *l)
{
	for (size_t i = 0; l && i < l->count; i++) {
		free(l->hierarchies[i].name);
		free(l->hierarchies[i].controllers);
		free(l->hierarchies[i].path);
		free(l->hierarchies[i].own);
		free(l->hierarchies[i].view);
		fd_close(&l->hierarchies[i].root_fd);
	}
	if (l)
		free(l->hierarchies);
	free(l);
	return NULL;
}

/* Super options mix flags with controllers: what is not a known flag is a controller. */
static void v1_controllers(char *options, struct strbuf *ret)
{
	static const char *const flags[] = {"rw",           "ro",
					    "noprefix",     "clone_children",
					    "xattr",        "cpuset_v2_mode",
					    "favordynmods", "nsdelegate"};
	char *save = NULL;

	for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		bool is_flag = str_has_prefix(o, "release_agent=");

		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			is_flag = is_flag || strcmp(o, flags[i]) == 0;
		if (!is_flag)
			strbuf_addf(ret, "%s%s", ret->len ? "," : "", o);
	}
}

/* A part of a hierarchy is somebody's view.  In a container that shares the host's cgroup namespace, as
 * Docker's do with cgroup v1, it is ours: the whole is nowhere, and we are below that part. */
static bool is_our_view(const char *own_cgroups, bool is_v2, const char *controllers,
			const char *root)
{
	const struct hierarchy h = {
		.controllers = (char *)(uintptr_t)controllers, .is_v2 = is_v2, .view = NULL};
	autofree char *own = own_cgroups ? cgroup_path_in(&h, own_cgroups) : NULL;

	return own && str_has_prefix(own, root) &&
	       (own[strlen(root)] == '\0' || own[strlen(root)] == '/');
}

/* One line of mountinfo (proc_pid_mountinfo(5)); octal escapes do not occur in cgroup mount
 * points that anybody uses, so such a line is skipped.  own_cgroups: /proc/self/cgroup where views are
 * looked for, NULL where the whole is. */
static int layout_add_line(struct cgroup_layout *l, char *line, const char *own_cgroups,
			   struct error *err)
{
	autostrbuf struct strbuf controllers = STRBUF_INIT(256);
	char *separator = strstr(line, " - "), *fields[5] = {0}, *save = NULL, *type, *super;
	struct hierarchy *h;
	bool is_v2;
	int fd;

	if (!separator || !str_has_prefix(separator, " - cgroup"))
		return 0;
	*separator = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!fields[i])
			return 0;
	}
	type = strtok_r(separator + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save); /* source */
	super = strtok_r(NULL, " ", &save);
	is_v2 = strcmp(type, "cgroup2") == 0;
	if (!super || strchr(fields[4], '\\') || (strcmp(fields[3], "/") == 0) == !!own_cgroups)
		return 0;
	if (!is_v2)
		v1_controllers(super, &controllers);
	for (size_t i = 0; i < l->count; i++)
		if (l->hierarchies[i].is_v2 == is_v2 &&
		    strcmp(l->hierarchies[i].controllers, controllers.s) == 0)
			return 0; /* mounted twice */
	if (own_cgroups && !is_our_view(own_cgroups, is_v2, controllers.s, fields[3]))
		return 0;

	fd = open(fields[4], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open cgroup mount '%s'",
				 fields[4]);
	h = layout_add(l, str_basename(fields[4]), controllers.s, fd, is_v2);
	h->path = xstrdup(fields[4]);
	h->view = own_cgroups ? xstrdup(fields[3]) : NULL;
	return 0;
}

static int layout_add_lines(struct cgroup_layout *l, const char *mountinfo, const char *own_cgroups,
			    struct error *err)
{
	autofree char *text = xstrdup(mountinfo);
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		r = layout_add_line(l, line, own_cgroups, err);
	return r;
}

int cgroup_layout_detect(struct cgroup_layout **ret, struct error *err)
{
	autocgrouplayout struct cgroup_layout *l = xnew0(struct cgroup_layout);
	autofree char *text = NULL, *own = NULL;
	int r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	r = layout_add_lines(l, text, NULL, err);
	if (r == 0 && l->count == 0) {
		own = cgroup_read_text(AT_FDCWD, "/proc/self/cgroup");
		r = own ? layout_add_lines(l, text, own, err) : 0;
	}
	if (r < 0)
		return r;
	if (l->count == 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "no cgroup file system is mounted");
	layout_set_mode(l);
	*ret = TAKE_PTR(l);
	return 0;
}

int cgroup_layout_open(int root_fd, struct cgroup_layout **ret, struct error *err)
{
	autocgrouplayout struct cgroup_layout *l = xnew0(struct cgroup_layout);
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open cgroup root");
	if (faccessat(fd, "cgroup.controllers", F_OK, 0) == 0) {
		layout_add(l, "unified", "", fd, true);
		layout_set_mode(l);
		*ret = TAKE_PTR(l);
		return 0;
	}
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_set(err, ERROR_INTERNAL, errno, "read cgroup root");
	}
	while ((entry = readdir(dir))) {
		autofree char *named = NULL;
		bool is_v2 = strcmp(entry->d_name, "unified") == 0;
		int sub;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		sub = openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (sub < 0)
			continue;
		if (strcmp(entry->d_name, "systemd") == 0)
			named = xstrdup("name=systemd");
		layout_add(l, entry->d_name,
			   is_v2   ? ""
			   : named ? named
				   : entry->d_name,
			   sub, is_v2);
	}
	(void)closedir(dir);
	if (l->count == 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "no cgroup hierarchy");
	layout_set_mode(l);
	*ret = TAKE_PTR(l);
	return 0;
}
