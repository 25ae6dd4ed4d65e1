/* engine/remap.c - which ids --userns-remap stands for, and which containers it is for. */
#include "engine/remap.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/config.h"

#define DEFAULT_USER "dockremap" /* dockerd's: an engine beside ours has the same ranges */
#define FILE_MAX     ((size_t)4 << 20)
#define FIRST_START  100000U /* of the ranges that we give ourselves: useradd(8)'s SUB_UID_MIN */
#define RANGE_SIZE   65536U

/* ---- subuid(5) ------------------------------------------------------------------------------- */

/* "name:start:count"; *ret_name is malloc'd. */
static bool parse_line(const char *line, size_t len, char **ret_name, struct remap_range *ret)
{
	autofree char *copy = xstrndup(line, len);
	char *start = strchr(copy, ':'), *count = start ? strchr(start + 1, ':') : NULL;

	if (!count)
		return false;
	*start++ = '\0';
	*count++ = '\0';
	if (str_parse_u32(start, &ret->start) < 0 || str_parse_u32(count, &ret->size) < 0 ||
	    ret->size == 0 || (uint64_t)ret->start + ret->size > UINT32_MAX)
		return false;
	*ret_name = TAKE_PTR(copy);
	return true;
}

static int compare_starts(const void *a, const void *b)
{
	const struct remap_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void remap_parse(const char *text, const char *const *names, struct remap_ranges *ret)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		autofree char *name = NULL;
		struct remap_range range;

		if (line[0] != '#' && parse_line(line, len, &name, &range) &&
		    (!names || str_is_one_of(name, names))) {
			xgrow(ret->v, ret->n, ret->cap);
			ret->v[ret->n++] = range;
		}
		line += len + (line[len] == '\n');
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_starts);
}

/* ---- ranges of our own ----------------------------------------------------------------------- */

static uint32_t first_free(const char *text)
{
	struct remap_ranges taken = {0};
	uint64_t start = FIRST_START;

	remap_parse(text, NULL, &taken);
	for (size_t i = 0; i < taken.n; i++)
		if ((uint64_t)taken.v[i].start + taken.v[i].size > start &&
		    taken.v[i].start < start + RANGE_SIZE)
			start = (uint64_t)taken.v[i].start + taken.v[i].size;
	free(taken.v);
	return start + RANGE_SIZE < INT32_MAX ? (uint32_t)start : 0;
}

/* As useradd(8) would; no account is needed, for nobody logs in with it. */
static int add_range(int etc_fd, const char *file, char **text, struct error *err)
{
	size_t len = strlen(*text);
	uint32_t start = first_free(*text);
	char *more;
	int r;

	if (start == 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "/etc/%s has no range left", file);
	more = xasprintf("%s%s" DEFAULT_USER ":%u:%u\n", *text,
			 len && (*text)[len - 1] != '\n' ? "\n" : "", start, RANGE_SIZE);
	r = file_write_atomic(etc_fd, file, more, strlen(more), 0644, FILE_SYNC, err);
	free(*text);
	*text = more;
	if (r >= 0)
		log_info("/etc/%s: %u ids from %u on are for containers (" DEFAULT_USER ")", file,
			 RANGE_SIZE, start);
	return r;
}

static int read_ranges(int etc_fd, const char *file, const char *const *names,
		       struct remap_ranges *ret, struct error *err)
{
	bool is_default = str_eq(names[0], DEFAULT_USER);
	autofree char *text = NULL;
	autoerror struct error why = {0};
	int r = file_read(etc_fd, file, FILE_MAX, &text, NULL, &why);

	if (r < 0 && r != -ENOENT)
		return error_move(err, &why, r);
	if (!text)
		text = xstrdup("");
	remap_parse(text, names, ret);
	if (ret->n == 0 && is_default) {
		r = add_range(etc_fd, file, &text, err);
		if (r < 0)
			return r;
		remap_parse(text, names, ret);
	}
	if (ret->n == 0)
		return error_set(err, ERROR_INVALID, 0, "no %s ranges found for \"%s\"", file,
				 names[0]);
	return 0;
}

/* ---- who ------------------------------------------------------------------------------------- */

/* An account by name or number; *ret_number as text, *ret_name NULL if it has none. */
static int find_user(const char *word, char **ret_name, char **ret_number, struct error *err)
{
	const struct passwd *pw;
	uint32_t uid;

	if (str_parse_u32(word, &uid) == 0) {
		pw = getpwuid(uid);
		*ret_name = pw ? xstrdup(pw->pw_name) : NULL;
		*ret_number = xasprintf("%u", uid);
		return 0;
	}
	pw = getpwnam(word);
	if (!pw && !str_eq(word, DEFAULT_USER))
		return error_set(err, ERROR_INVALID, 0, "userns-remap: no such user: %s", word);
	*ret_name = xstrdup(word);
	*ret_number = pw ? xasprintf("%u", (unsigned)pw->pw_uid) : NULL;
	return 0;
}

static int find_group(const char *word, char **ret_name, char **ret_number, struct error *err)
{
	const struct group *gr;
	uint32_t gid;

	if (str_parse_u32(word, &gid) == 0) {
		gr = getgrgid(gid);
		*ret_name = gr ? xstrdup(gr->gr_name) : NULL;
		*ret_number = xasprintf("%u", gid);
		return 0;
	}
	gr = getgrnam(word);
	if (!gr)
		return error_set(err, ERROR_INVALID, 0, "userns-remap: no such group: %s", word);
	*ret_name = xstrdup(word);
	*ret_number = xasprintf("%u", (unsigned)gr->gr_gid);
	return 0;
}

static int open_for(const char *user, const char *group, int etc_fd, struct remap *ret,
		    struct error *err)
{
	autofree char *name = NULL, *number = NULL, *group_name = NULL, *group_number = NULL;
	const char *names[5] = {NULL};
	size_t n = 0;
	int r = find_user(user, &name, &number, err);

	if (r >= 0 && group)
		r = find_group(group, &group_name, &group_number, err);
	if (r < 0)
		return r;
	if (name)
		names[n++] = name;
	if (number)
		names[n++] = number;
	r = read_ranges(etc_fd, "subuid", names, &ret->uids, err);
	/* subgid(5) is by the user's name; dockerd looks for the group's. */
	if (group) {
		n = 0;
		if (group_name)
			names[n++] = group_name;
		names[n++] = group_number;
		names[n] = NULL;
	}
	return r < 0 ? r : read_ranges(etc_fd, "subgid", names, &ret->gids, err);
}

int remap_open(const char *value, int etc_fd, struct remap *ret, struct error *err)
{
	autofree char *user = NULL;
	struct remap remap = {0};
	const char *colon;
	int r;

	*ret = remap;
	if (str_empty(value))
		return 0;
	colon = strchr(value, ':');
	user = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
	if (!user[0] || (colon && (!colon[1] || strchr(colon + 1, ':'))))
		return error_set(err, ERROR_INVALID, 0,
				 "userns-remap: '%s' is not default, user or user:group", value);
	if (str_eq(value, "default"))
		r = open_for(DEFAULT_USER, NULL, etc_fd, &remap, err);
	else
		r = open_for(user, colon ? colon + 1 : NULL, etc_fd, &remap, err);
	if (r < 0) {
		remap_done(&remap);
		return error_wrap(err, r, "userns-remap");
	}
	*ret = remap;
	return 0;
}

void remap_done(struct remap *r)
{
	free(r->uids.v);
	free(r->gids.v);
	*r = (struct remap){0};
}

/* ---- of a process ---------------------------------------------------------------------------- */

static int read_map(pid_t pid, const char *file, struct remap_ranges *ret, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/%s", (int)pid, file), *text = NULL;
	char *save = NULL;
	uint64_t next = 0;
	int r = file_read(AT_FDCWD, path, FILE_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct remap_range range;
		uint32_t inside;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &range.start,
			   &range.size) != 3 ||
		    inside != next)
			return error_set(err, ERROR_CONFLICT, 0,
					 "the user namespace of process %d is no container's",
					 (int)pid);
		next += range.size;
		xgrow(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = range;
	}
	return 0;
}

int remap_of_process(pid_t pid, struct remap *ret, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/ns/user", (int)pid);
	struct remap remap = {0};
	struct stat own, theirs;
	int r;

	if (stat("/proc/self/ns/user", &own) < 0 || stat(path, &theirs) < 0)
		return error_set(err, ERROR_CONFLICT, errno,
				 "inspect the user namespace of process %d", (int)pid);
	if (own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino)
		return 0;
	r = read_map(pid, "uid_map", &remap.uids, err);
	r = r < 0 ? r : read_map(pid, "gid_map", &remap.gids, err);
	if (r < 0) {
		remap_done(&remap);
		return r;
	}
	*ret = remap;
	return 0;
}

/* ---- containers ------------------------------------------------------------------------------ */

bool remap_applies(const struct remap *r, const struct container_spec *s)
{
	return r && r->uids.n > 0 && !str_eq(s->host.userns_mode, "host");
}

int remap_check(const struct remap *r, const struct container_spec *s, struct error *err)
{
	const struct host_config *h = &s->host;
	const struct {
		bool given;
		const char *text;
	} refused[] = {
		{h->privileged, "privileged mode is incompatible with user namespaces.  You must "
				"run the container in the host namespace when running privileged "
				"mode"},
		{str_eq(h->network_mode, "host"),
		 "cannot share the host's network namespace when user namespaces are enabled"},
		{str_eq(h->pid_mode, "host"),
		 "cannot share the host PID namespace when user namespaces are enabled"},
	};

	for (size_t i = 0; remap_applies(r, s) && i < ARRAY_SIZE(refused); i++)
		if (refused[i].given)
			return error_set(err, ERROR_INVALID, 0, "%s", refused[i].text);
	return 0;
}

void remap_write(const struct remap_ranges *ranges, const char *key, struct json_writer *w)
{
	uint32_t inside = 0;

	jw_karray(w, key);
	for (size_t i = 0; i < ranges->n; i++) {
		jw_object(w);
		jw_kuint(w, "containerID", inside);
		jw_kuint(w, "hostID", ranges->v[i].start);
		jw_kuint(w, "size", ranges->v[i].size);
		jw_object_end(w);
		inside += ranges->v[i].size;
	}
	jw_array_end(w);
}
