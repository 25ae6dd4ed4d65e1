/* The resctrl file system. */
#include "linux/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/procfs.h"

#define MOUNTINFO_MAX ((size_t)4 << 20)
#define SCHEMATA_MAX  ((size_t)64 << 10)
#define DIR_MODE      0755

/* -- where it is --------------------------------------------------------------------------- */

/* The mount point of a line of mountinfo(5) if it is of that type; the line is taken apart. */
static const char *mounted_at(char *line, const char *type)
{
	char *dash = strstr(line, " - "), *save = NULL, *field;

	if (!dash || strncmp(dash + 3, type, strlen(type)) != 0 || dash[3 + strlen(type)] != ' ')
		return NULL;
	field = strtok_r(line, " ", &save);
	for (int i = 0; field && i < 4; i++)
		field = strtok_r(NULL, " ", &save);
	return field;
}

int resctrl_open(int proc_fd, struct error *err)
{
	autoclose int dir_fd = procfs_open_file(proc_fd, "self", O_PATH | O_DIRECTORY);
	autofree char *text = NULL;
	char *save = NULL;

	/* "self" is a link, but no magic one. */
	if (dir_fd < 0)
		return error_set(err, ERROR_INTERNAL, -dir_fd, "open /proc/self");
	if (file_read(dir_fd, "mountinfo", MOUNTINFO_MAX, &text, NULL, err) < 0)
		return err && err->errnum ? -err->errnum : -EIO;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = mounted_at(line, "resctrl");
		int fd;

		if (!at)
			continue;
		fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd >= 0 ? fd : error_set(err, ERROR_INTERNAL, errno, "open '%s'", at);
	}
	return error_set(err, ERROR_UNAVAILABLE, 0, "no resctrl file system is mounted");
}

/* -- schemata ------------------------------------------------------------------------------ */

/* A value of a domain: hexadecimal masks and decimal percentages both come down to this. */
static bool same_value(const char *a, size_t a_len, const char *b, size_t b_len)
{
	while (a_len > 1 && *a == '0')
		a++, a_len--;
	while (b_len > 1 && *b == '0')
		b++, b_len--;
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* Whether `line` ("0=ff;1=f", behind the colon) has domain=value. */
static bool has_domain(const char *line, const char *entry, size_t len)
{
	const char *equals = memchr(entry, '=', len);
	size_t domain_len = equals ? (size_t)(equals - entry) : len;

	for (const char *p = line; *p && *p != '\n';) {
		size_t n = strcspn(p, ";\n");
		const char *e;

		while (n && *p == ' ')
			p++, n--;
		e = memchr(p, '=', n);
		if (equals && e && same_value(p, (size_t)(e - p), entry, domain_len))
			return same_value(e + 1, n - (size_t)(e + 1 - p), equals + 1,
					  len - domain_len - 1);
		p += n + (p[n] == ';');
	}
	return false;
}

bool resctrl_schemata_match(const char *text, const char *line)
{
	const char *colon = strchr(line, ':'), *there = NULL;
	size_t name_len = colon ? (size_t)(colon - line) : 0;

	if (!colon)
		return false;
	for (const char *p = text; *p && !there;) {
		p += strspn(p, " \n");
		if (strncmp(p, line, name_len + 1) == 0)
			there = p + name_len + 1;
		p += strcspn(p, "\n");
	}
	for (const char *p = colon + 1; there && *p;) {
		size_t n = strcspn(p, ";"), skip = strspn(p, " ");

		if (n > skip && !has_domain(there, p + skip, n - skip))
			return false;
		p += n + (p[n] == ';');
	}
	return there;
}

static int write_file(int dir_fd, const char *name, const char *text, struct error *err)
{
	autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", name);
	/* one write(2): the kernel takes a line as a whole */
	if (write(fd, text, strlen(text)) < 0)
		return error_set(err, errno == EINVAL ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "write '%.*s' to '%s'", (int)strcspn(text, "\n"), text, name);
	return 0;
}

static int write_line(int group_fd, const char *line, struct error *err)
{
	autofree char *text = xasprintf("%s\n", line);

	return str_empty(line) ? 0 : write_file(group_fd, "schemata", text, err);
}

static int compare_line(const char *text, const char *line, struct error *err)
{
	if (str_empty(line) || resctrl_schemata_match(text, line))
		return 0;
	return error_set(err, ERROR_INVALID, 0, "the group exists with other schemata than '%s'",
			 line);
}

/* -- groups -------------------------------------------------------------------------------- */

static bool has_schema(const struct resctrl_group *g)
{
	return !str_empty(g->l3) || !str_empty(g->mb) || g->schemata_count > 0;
}

/* The group's directory; *ret_made: it is new. */
static int open_group(int root_fd, const struct resctrl_group *g, bool *ret_made, struct error *err)
{
	const char *name = g->clos_id ? g->clos_id : g->id;
	int fd;

	*ret_made = false;
	if (strcmp(name, "/") == 0)
		name = ".";
	else if (!g->clos_id || has_schema(g)) {
		if (mkdirat(root_fd, name, DIR_MODE) == 0)
			*ret_made = true;
		else if (errno != EEXIST || !g->clos_id)
			return error_set(err, ERROR_INTERNAL, errno, "make group '%s'", name);
	}
	fd = openat(root_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd
		       : error_set(err, errno == ENOENT ? ERROR_INVALID : ERROR_INTERNAL, errno,
				   "open group '%s'", name);
}

static int set_schemata(int group_fd, const struct resctrl_group *g, bool made, struct error *err)
{
	autofree char *text = NULL;
	int r = 0;

	if (!has_schema(g))
		return 0;
	if (made || str_eq(g->clos_id, "/")) {
		r = write_line(group_fd, g->l3, err);
		if (r == 0)
			r = write_line(group_fd, g->mb, err);
	} else {
		r = file_read(group_fd, "schemata", SCHEMATA_MAX, &text, NULL, err);
		if (r < 0)
			return r;
		r = compare_line(text, g->l3, err);
		if (r == 0)
			r = compare_line(text, g->mb, err);
	}
	for (size_t i = 0; r == 0 && i < g->schemata_count; i++)
		r = write_line(group_fd, g->schemata[i], err);
	return r;
}

static int monitor(int group_fd, const char *id, const char *pid, struct error *err)
{
	autofree char *name = xasprintf("mon_groups/%s", id);
	autofree char *tasks = xasprintf("%s/tasks", name);
	int r;

	if (mkdirat(group_fd, name, DIR_MODE) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make monitoring group '%s'", id);
	r = write_file(group_fd, tasks, pid, err);
	if (r < 0)
		(void)unlinkat(group_fd, name,
			       AT_REMOVEDIR); /* the first error is the one to tell */
	return r;
}

int resctrl_join(int root_fd, const struct resctrl_group *g, pid_t pid, struct error *err)
{
	char text[16];
	bool made;
	autoclose int fd = open_group(root_fd, g, &made, err);
	int r;

	if (fd < 0)
		return fd;
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	r = set_schemata(fd, g, made, err);
	if (r == 0)
		r = write_file(fd, "tasks", text, err);
	if (r == 0 && g->monitoring)
		r = monitor(fd, g->id, text, err);
	if (r < 0 && made)
		(void)unlinkat(root_fd, g->clos_id ? g->clos_id : g->id, AT_REMOVEDIR);
	return r;
}

static int remove_directory(int dir_fd, const char *name, struct error *err)
{
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return error_set(err, ERROR_INTERNAL, errno, "remove group '%s'", name);
}

/* Removing a class of service removes the monitoring groups in it. */
int resctrl_remove(int root_fd, const struct resctrl_group *g, struct error *err)
{
	autofree char *name = NULL;

	if (!g->clos_id)
		return remove_directory(root_fd, g->id, err);
	if (!g->monitoring)
		return 0;
	name = strcmp(g->clos_id, "/") == 0 ? xasprintf("mon_groups/%s", g->id)
					    : xasprintf("%s/mon_groups/%s", g->clos_id, g->id);
	return remove_directory(root_fd, name, err);
}
