/* list, ps and state. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/str.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/program.h"
#include "linux/cgroup.h"
#include "oci/runtime_spec.h"
#include "runtime/state.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define PASSWD_MAX ((size_t)4 << 20)

static int print(struct strbuf *out, struct error *err)
{
	int r = strbuf_error(out);

	if (r == 0)
		r = fd_write_full(STDOUT_FILENO, out->s, out->len);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write to standard output") : 0;
}

static int is_json(const struct options *o, struct error *err)
{
	const char *format = o->value[OPT_FORMAT];

	if (!format || strcmp(format, "table") == 0)
		return 0;
	return strcmp(format, "json") == 0
		       ? 1
		       : error_set(err, ERROR_INVALID, 0, "invalid format option");
}

/* -- state and list ------------------------------------------------------------------------ */

/* What both of them print of a container. */
struct entry {
	struct state *state; /* owned */
	enum state_status status;
	pid_t pid;   /* 0: it has stopped */
	char *owner; /* owned, or NULL */
};

static void entry_init(struct entry *e, struct state *s_take)
{
	e->state = s_take;
	e->status = state_status(s_take);
	e->pid = e->status == STATE_STOPPED ? 0 : s_take->pid;
	e->owner = NULL;
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static void write_entry(struct json_writer *w, const struct entry *e)
{
	const struct state *s = e->state;

	jw_object(w);
	jw_kstring(w, "ociVersion", s->version ? s->version : OCI_SPEC_VERSION);
	jw_kstring(w, "id", s->id);
	jw_kint(w, "pid", e->pid);
	jw_kstring(w, "status", state_status_name(e->status));
	jw_kstring(w, "bundle", text(s->bundle));
	jw_kstring(w, "rootfs", text(s->rootfs));
	jw_kstring(w, "created", text(s->created));
	if (s->annotations) {
		jw_key(w, "annotations");
		jw_raw(w, s->annotations, strlen(s->annotations));
	}
	jw_kstring(w, "owner", text(e->owner));
	jw_object_end(w);
}

int command_state(const struct options *o, int *ret_code, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	autostate struct state *s = NULL;
	struct json_writer w;
	struct entry e;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r < 0)
		return r;
	entry_init(&e, s);
	json_writer_init(&w, &out);
	w.pretty_indent = 2;
	write_entry(&w, &e);
	strbuf_addc(&out, '\n');
	return print(&out, err);
}

/* By hand: a static program has no name services. */
static char *user_name(uid_t uid)
{
	autofree char *passwd = NULL;
	char *rest, *line;

	if (file_read(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &passwd, NULL, NULL) < 0)
		return xasprintf("#%u", uid);
	rest = passwd;
	while ((line = strsep(&rest, "\n"))) {
		const char *name = strsep(&line, ":");
		uint32_t id;

		(void)strsep(&line, ":");
		if (line && str_parse_u32(strsep(&line, ":"), &id) == 0 && id == uid)
			return xstrdup(name);
	}
	return xasprintf("#%u", uid);
}

struct entries {
	struct entry *v; /* owned */
	size_t n, cap;
};

static void entries_done(struct entries *list)
{
	for (size_t i = 0; i < list->n; i++) {
		(void)state_free(list->v[i].state);
		free(list->v[i].owner);
	}
	free(list->v);
}

static void load_entries(const struct options *o, const struct strv *ids, struct entries *ret)
{
	for (size_t i = 0; i < ids->n; i++) {
		autoerror struct error e = {0};
		struct state *s = NULL;
		struct stat st;

		/* deleted meanwhile, or not one of ours */
		if (state_load(o->value[OPT_ROOT], ids->v[i], &s, &e) < 0) {
			(void)fprintf(stderr, "load container %s: %s\n", ids->v[i], error_msg(&e));
			continue;
		}
		xgrow(ret->v, ret->n, ret->cap);
		entry_init(&ret->v[ret->n], s);
		if (fstat(s->dir_fd, &st) == 0)
			ret->v[ret->n].owner = user_name(st.st_uid);
		ret->n++;
	}
}

#define COLUMNS    6
#define COLUMN_MIN 12
#define COLUMN_GAP 3

/* As Go's tabwriter: each column as wide as its widest cell and the gap, but not narrower than the
 * minimum; the last one as it is. */
static void write_table(struct strbuf *out, const char *(*rows)[COLUMNS], size_t n)
{
	size_t width[COLUMNS];

	for (size_t c = 0; c < COLUMNS; c++) {
		width[c] = 0;
		for (size_t i = 0; i < n; i++)
			if (strlen(rows[i][c]) + COLUMN_GAP > width[c])
				width[c] = strlen(rows[i][c]) + COLUMN_GAP;
		if (width[c] < COLUMN_MIN)
			width[c] = COLUMN_MIN;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < COLUMNS; c++)
			if (c + 1 < COLUMNS)
				strbuf_addf(out, "%-*s", (int)width[c], rows[i][c]);
			else
				strbuf_addf(out, "%s\n", rows[i][c]);
}

static void list_table(struct strbuf *out, const struct entries *list)
{
	static const char *const head[COLUMNS] = {"ID",     "PID",     "STATUS",
						  "BUNDLE", "CREATED", "OWNER"};
	autoarena struct arena *a = arena_new();
	const char *(*rows)[COLUMNS] = arena_alloc(a, sizeof(*rows) * (list->n + 1));

	memcpy(rows[0], head, sizeof(head));
	for (size_t i = 0; i < list->n; i++) {
		const struct entry *e = &list->v[i];

		rows[i + 1][0] = e->state->id;
		rows[i + 1][1] = arena_printf(a, "%d", (int)e->pid);
		rows[i + 1][2] = state_status_name(e->status);
		rows[i + 1][3] = text(e->state->bundle);
		rows[i + 1][4] = text(e->state->created);
		rows[i + 1][5] = text(e->owner);
	}
	write_table(out, rows, list->n + 1);
}

static void list_json(struct strbuf *out, const struct entries *list)
{
	struct json_writer w;

	json_writer_init(&w, out);
	if (list->n == 0) {
		jw_null(&w); /* as runc: a nil slice */
	} else {
		jw_array(&w);
		for (size_t i = 0; i < list->n; i++)
			write_entry(&w, &list->v[i]);
		jw_array_end(&w);
	}
	strbuf_addc(out, '\n');
}

int command_list(const struct options *o, int *ret_code, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	autostrv struct strv ids = {0};
	struct entries list = {0};
	int json = is_json(o, err);
	int r = json < 0 ? json : state_list(o->value[OPT_ROOT], &ids, err);

	(void)ret_code;
	if (r < 0)
		return r;
	if (options_has(o, OPT_QUIET)) {
		for (size_t i = 0; i < ids.n; i++)
			strbuf_addf(&out, "%s\n", ids.v[i]);
		return print(&out, err);
	}
	load_entries(o, &ids, &list);
	if (json)
		list_json(&out, &list);
	else
		list_table(&out, &list);
	entries_done(&list);
	return print(&out, err);
}

/* -- ps ------------------------------------------------------------------------------------ */

static void ps_json(struct strbuf *out, const pid_t *pids, size_t n)
{
	struct json_writer w;

	json_writer_init(&w, out);
	jw_array(&w);
	for (size_t i = 0; i < n; i++)
		jw_int(&w, pids[i]);
	jw_array_end(&w);
	strbuf_addc(out, '\n');
}

static bool has_pid(const pid_t *pids, size_t n, const char *field)
{
	int pid;

	if (!field || str_parse_int(field, &pid) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Field `i` of a line of blanks and words, malloc'd; NULL if there are fewer. */
static char *field_at(const char *line, size_t i)
{
	for (;; i--) {
		size_t n;

		line += strspn(line, " \t");
		n = strcspn(line, " \t");
		if (n == 0)
			return NULL;
		if (i == 0)
			return xstrndup(line, n);
		line += n;
	}
}

static int pid_column(const char *head)
{
	for (size_t i = 0;; i++) {
		autofree char *field = field_at(head, i);

		if (!field)
			return -1;
		if (strcmp(field, "PID") == 0)
			return (int)i;
	}
}

/* ps(1) of all processes, of which the container's are kept. */
static int ps_table(const struct options *o, const pid_t *pids, size_t n, struct strbuf *out,
		    struct error *err)
{
	autofree const char **argv = xnew0n(const char *, o->arg_count + 4);
	const struct spawn_fd fds[] = {{STDERR_FILENO, STDERR_FILENO}};
	autofree char *path = program_find("ps");
	const struct spawn_args args = {.path = path,
					.exec_fd = -EBADF,
					.argv = argv,
					.fds = fds,
					.fd_count = ARRAY_SIZE(fds)};
	autofree char *output = NULL;
	char *rest, *line;
	int status = 0, column, r;

	if (!path)
		return error_set(err, ERROR_UNAVAILABLE, ENOENT, "find the program ps");
	argv[0] = "ps";
	argv[1] = "-ef";
	for (size_t i = 1; i < o->arg_count; i++)
		argv[i] = o->args[i];
	r = spawn_run(&args, OUTPUT_MAX, &output, &status, err);
	if (r < 0)
		return error_wrap(err, r, "ps");
	if (status != 0)
		return error_set(err, ERROR_INTERNAL, 0, "ps: exit status %d", status);
	rest = output;
	line = strsep(&rest, "\n");
	column = pid_column(line);
	if (column < 0)
		return error_set(err, ERROR_INTERNAL, 0, "couldn't find PID field in ps output");
	strbuf_addf(out, "%s\n", line);
	while ((line = strsep(&rest, "\n"))) {
		autofree char *field = field_at(line, (size_t)column);

		if (has_pid(pids, n, field))
			strbuf_addf(out, "%s\n", line);
	}
	return 0;
}

int command_ps(const struct options *o, int *ret_code, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	autostate struct state *s = NULL;
	autofree pid_t *pids = NULL;
	size_t n = 0;
	int json = is_json(o, err);
	int r = json < 0 ? json : state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r == 0)
		r = state_pids(s, &pids, &n, err);
	if (r < 0)
		return r;
	if (json)
		ps_json(&out, pids, n);
	else
		r = ps_table(o, pids, n, &out, err);
	return r < 0 ? r : print(&out, err);
}
