/* engine/user.c - "user[:group]" of a container or exec into numbers, by the image's own files. */
#include "engine/user.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define USER_FILE_MAX ((size_t)4 << 20) /* bytes of passwd or group */
#define USER_FIELDS   7

struct entry { /* one line, its fields split at the colons */
	const char *f[USER_FIELDS];
	size_t n;
	char *line; /* owned */
};

static void entry_done(struct entry *e)
{
	free(e->line);
	e->line = NULL;
}

/* The next line of *text that has at least `want` fields. */
static bool next_entry(const char **text, size_t want, struct entry *ret)
{
	while (*text && **text) {
		size_t len = strcspn(*text, "\n");
		char *line = xstrndup(*text, len), *p = line;

		*text += len + ((*text)[len] == '\n');
		*ret = (struct entry){.line = line};
		while (p && ret->n < USER_FIELDS) {
			ret->f[ret->n++] = p;
			p = strchr(p, ':');
			if (p)
				*p++ = '\0';
		}
		if (ret->n >= want && line[0] != '#')
			return true;
		entry_done(ret);
	}
	return false;
}

static void add_group(struct user *u, uint32_t gid)
{
	for (size_t i = 0; i < u->group_count; i++)
		if (u->groups[i] == gid)
			return;
	xgrow(u->groups, u->group_count, u->group_cap);
	u->groups[u->group_count++] = gid;
}

/* By name first, as a name may consist of digits. */
static int find_passwd(const char *passwd, const char *user, struct user *u, char **ret_name,
		       struct error *err)
{
	uint32_t number;
	bool is_number = str_parse_u32(user, &number) == 0;
	const char *text = passwd;
	struct entry e;

	while (next_entry(&text, 4, &e)) {
		uint32_t uid, gid;
		bool match = (str_eq(e.f[0], user) || (is_number && str_eq(e.f[2], user))) &&
			     str_parse_u32(e.f[2], &uid) == 0 && str_parse_u32(e.f[3], &gid) == 0;

		if (match) {
			u->uid = uid;
			u->gid = gid;
			free(u->home);
			u->home = xstrdup(e.n >= 6 && e.f[5][0] ? e.f[5] : "/");
			free(*ret_name);
			*ret_name = xstrdup(e.f[0]);
			match = true;
		}
		entry_done(&e);
		if (match)
			return 0;
	}
	if (!is_number || number > INT32_MAX)
		return error_set(err, ERROR_INVALID, 0,
				 "unable to find user %s: no matching entries in passwd file",
				 user);
	u->uid = number;
	return 0;
}

static int find_group(const char *group_file, const char *group, uint32_t *ret, struct error *err)
{
	uint32_t number;
	bool is_number = str_parse_u32(group, &number) == 0;
	const char *text = group_file;
	struct entry e;

	while (next_entry(&text, 3, &e)) {
		bool match = str_eq(e.f[0], group) && str_parse_u32(e.f[2], ret) == 0;

		entry_done(&e);
		if (match)
			return 0;
	}
	if (!is_number || number > INT32_MAX)
		return error_set(err, ERROR_INVALID, 0,
				 "unable to find group %s: no matching entries in group file",
				 group);
	*ret = number;
	return 0;
}

static bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && !strncmp(p, name, n))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static void add_memberships(const char *group_file, const char *name, struct user *u)
{
	const char *text = group_file;
	struct entry e;

	while (next_entry(&text, 4, &e)) {
		uint32_t gid;

		if (list_has(e.f[3], name) && str_parse_u32(e.f[2], &gid) == 0)
			add_group(u, gid);
		entry_done(&e);
	}
}

int user_resolve_texts(const struct user_files *files, const char *spec, const char *const *extra,
		       size_t extra_count, struct user *ret, struct error *err)
{
	const char *colon = spec ? strchr(spec, ':') : NULL;
	autofree char *user = xstrndup(spec ? spec : "",
				       colon ? (size_t)(colon - spec) : strlen(spec ? spec : ""));
	autofree char *name = NULL;
	autouser struct user u = {.home = xstrdup("/")};
	int r = find_passwd(files->passwd, user[0] ? user : "0", &u, &name, err);

	if (r < 0)
		return r;
	if (colon && colon[1]) {
		r = find_group(files->group, colon + 1, &u.gid, err);
		if (r < 0)
			return r;
	} else if (name) {
		add_memberships(files->group, name, &u);
	}
	for (size_t i = 0; i < extra_count; i++) {
		uint32_t gid;

		r = find_group(files->group, extra[i], &gid, err);
		if (r < 0)
			return r;
		add_group(&u, gid);
	}
	*ret = u;
	u = (struct user){0};
	return 0;
}

int user_resolve(const struct rootfs_dirs *dirs, const char *spec, const char *const *extra,
		 size_t extra_count, struct user *ret, struct error *err)
{
	autofree char *passwd = NULL, *group = NULL;
	autoerror struct error local = {0};
	int r = rootfs_file_read(dirs, "/etc/passwd", USER_FILE_MAX, &passwd, &local);

	if (r < 0 && r != -ENOENT)
		return error_move(err, &local, r);
	error_done(&local);
	r = rootfs_file_read(dirs, "/etc/group", USER_FILE_MAX, &group, &local);
	if (r < 0 && r != -ENOENT)
		return error_move(err, &local, r);
	return user_resolve_texts(&(struct user_files){passwd, group}, spec, extra, extra_count,
				  ret, err);
}

void user_done(struct user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct user){0};
}
