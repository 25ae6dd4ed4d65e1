/* engine/label.c - labels from a policy, options and categories. */
#include "engine/label.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/selinux.h"

#define CATEGORIES      1022 /* c0 to c1021; the last two are privileged containers' */
#define PAIRS           ((uint32_t)CATEGORIES * (CATEGORIES - 1) / 2)
#define LEVEL_PRIVILEGE "s0:c1022,c1023"
#define LEVEL_SHARED    "s0"
#define CONFIG_MAX      ((size_t)64 << 10) /* bytes */

/* ---- the policy ------------------------------------------------------------------------------- */

/* The value of a line "key = value", quotes taken off; NULL if there is none. */
static char *config_value(const char *text, const char *key)
{
	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, "\n"), n = strlen(key);
		const char *p = line + strspn(line, " \t");

		if (strncmp(p, key, n) == 0) {
			p += n;
			p += strspn(p, " \t");
			if (*p == '=') {
				p++;
				p += strspn(p, " \t\"");
				return xstrndup(p, strcspn(p, " \t\"\n"));
			}
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

int label_policy_read(int dir_fd, struct label_policy *ret, struct error *err)
{
	autofree char *config = NULL, *type = NULL, *path = NULL, *contexts = NULL;
	struct label_policy p;

	if (file_read(dir_fd, "config", CONFIG_MAX, &config, NULL, NULL) >= 0)
		type = config_value(config, "SELINUXTYPE");
	path = xasprintf("%s/contexts/lxc_contexts", type ?: "targeted");
	if (file_read(dir_fd, path, CONFIG_MAX, &contexts, NULL, NULL) < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "the SELinux policy has no labels for containers: no %s", path);
	p.process = config_value(contexts, "process");
	p.file = config_value(contexts, "file");
	if (!p.process || !p.file) {
		label_policy_done(&p);
		return error_set(err, ERROR_UNAVAILABLE, 0, "%s: process and file are wanted",
				 path);
	}
	*ret = p;
	return 0;
}

void label_policy_done(struct label_policy *p)
{
	free(p->process);
	free(p->file);
	*p = (struct label_policy){0};
}

void labels_done(struct labels *l)
{
	free(l->process);
	free(l->mount);
	*l = (struct labels){0};
}

/* ---- categories ------------------------------------------------------------------------------ */

/* The nth pair of c0,c1 c0,c2 ... c1,c2 ... */
static void pair_level(uint32_t n, char ret[static LABEL_LEVEL_SIZE])
{
	uint32_t first = 0, row = CATEGORIES - 1;

	while (n >= row) {
		n -= row--;
		first++;
	}
	(void)snprintf(ret, LABEL_LEVEL_SIZE, "s0:c%u,c%u", first, first + 1 + n);
}

int label_level_pick(uint32_t random, label_taken_fn taken, void *data,
		     char ret[static LABEL_LEVEL_SIZE], struct error *err)
{
	for (uint32_t i = 0; i < PAIRS; i++) {
		pair_level((random % PAIRS + i) % PAIRS, ret);
		if (!taken(data, ret))
			return 0;
	}
	return error_set(err, ERROR_UNAVAILABLE, 0, "all pairs of SELinux categories are taken");
}

const char *label_level(const char *label)
{
	for (int colons = 0; *label; label++)
		if (*label == ':' && ++colons == 3)
			return label + 1;
	return "";
}

/* ---- labels ---------------------------------------------------------------------------------- */

static void replace(char **field, const char *value)
{
	if (!value)
		return;
	free(*field);
	*field = xstrdup(value);
}

int labels_make(const struct label_policy *p, const struct config_security *s, const char *level,
		struct labels *ret, struct error *err)
{
	autoselinux_context struct selinux_context process = {0}, file = {0};

	if (selinux_context_parse(p->process, &process) < 0 ||
	    selinux_context_parse(p->file, &file) < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "'%s', '%s': not SELinux labels",
				 p->process, p->file);
	if (s->label_disable) {
		if (file.level)
			replace(&file.level, LEVEL_PRIVILEGE);
		*ret = (struct labels){xstrdup(""), selinux_context_format(&file)};
		return 0;
	}
	if (process.level)
		replace(&process.level, level);
	if (file.level)
		replace(&file.level, level);
	replace(&process.user, s->label[CONFIG_LABEL_USER]);
	replace(&process.role, s->label[CONFIG_LABEL_ROLE]);
	replace(&process.type, s->label[CONFIG_LABEL_TYPE]);
	replace(&process.level, s->label[CONFIG_LABEL_LEVEL]);
	replace(&file.user, s->label[CONFIG_LABEL_USER]);
	replace(&file.type, s->label[CONFIG_LABEL_FILETYPE]);
	replace(&file.level, s->label[CONFIG_LABEL_LEVEL]);
	*ret = (struct labels){selinux_context_format(&process), selinux_context_format(&file)};
	return 0;
}

/* ---- files of the host ----------------------------------------------------------------------- */

/* Relabelled, a host would not boot or let nobody in. */
static const char *const host_dirs[] = {
	"/",           "/bin",  "/boot",    "/dev",     "/etc",   "/etc/passwd", "/etc/pki",
	"/etc/shadow", "/home", "/lib",     "/lib64",   "/media", "/opt",        "/proc",
	"/root",       "/run",  "/sbin",    "/srv",     "/sys",   "/system",     "/tmp",
	"/usr",        "/var",  "/var/lib", "/var/log",
};

int label_relabel(const char *path, const char *mount_label, bool shared, struct error *err)
{
	autoselinux_context struct selinux_context c = {0};
	autofree char *label = NULL, *real = realpath(path, NULL);

	if (!real)
		return error_set(err, ERROR_INVALID, errno, "label '%s'", path);
	for (size_t i = 0; i < ARRAY_SIZE(host_dirs); i++)
		if (str_eq(real, host_dirs[i]))
			return error_set(err, ERROR_INVALID, 0,
					 "SELinux relabeling of %s is not allowed", path);
	if (selinux_context_parse(mount_label, &c) < 0)
		return error_set(err, ERROR_INTERNAL, 0, "'%s' is no SELinux label", mount_label);
	if (shared && c.level)
		replace(&c.level, LEVEL_SHARED);
	label = selinux_context_format(&c);
	return selinux_label_tree(real, label, err);
}
