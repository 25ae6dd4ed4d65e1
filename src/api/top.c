/* GET /containers/{}/top: the host's ps(1), and of its lines those of the container's processes. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "linux/cgroup.h"

#define OUTPUT_MAX ((size_t)8 << 20)
#define ARGS_MAX   32

struct top {
	struct api_call *c;
	char *cgroup; /* owned; path in every hierarchy */
};

static int find(void *data, struct error *err)
{
	struct top *t = data;
	const char *parent = engine_get_args(t->c->engine)->cgroup_parent;
	struct container *c;
	int r = engine_container_get(t->c->engine, t->c->params[0], &c, err);

	if (r < 0)
		return r;
	if (c->state.status != CONTAINER_RUNNING && c->state.status != CONTAINER_PAUSED)
		return error_set(err, ERROR_CONFLICT, 0, "container %s is not running", c->id);
	if (*c->spec->host.cgroup_parent)
		parent = c->spec->host.cgroup_parent;
	t->cgroup = xasprintf("%s%s/%s", *parent == '/' ? "" : "/", parent, c->id);
	return 0;
}

/* Words of ps_args; "-ef" without any. */
static int split_args(struct arena *a, const char *text, const char *argv[ARGS_MAX],
		      struct error *err)
{
	size_t n = 0;
	char *s = arena_strdup(a, *text ? text : "-ef"), *word, *save = NULL;

	argv[n++] = "ps";
	for (word = strtok_r(s, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (n + 1 == ARGS_MAX)
			return error_set(err, ERROR_INVALID, 0, "too many arguments for ps");
		argv[n++] = word;
	}
	argv[n] = NULL;
	return 0;
}

static char *next_word(char **p)
{
	char *s = *p + strspn(*p, " "), *end = s + strcspn(s, " ");

	if (*s == '\0')
		return NULL;
	*p = *end ? end + 1 : end;
	*end = '\0';
	return s;
}

static bool is_ours(const char *text, const pid_t *pids, size_t n)
{
	int pid;

	if (str_parse_int(text, &pid) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

struct columns {
	size_t n, pid; /* pid: which one */
};

/* The last column takes the rest of the line. */
static void write_row(char *line, const struct columns *cols, struct json_writer *w)
{
	jw_array(w);
	for (size_t i = 0; i < cols->n; i++) {
		char *word;

		if (i + 1 == cols->n) {
			word = line + strspn(line, " ");
		} else {
			word = next_word(&line);
		}
		jw_string(w, word ? word : "");
	}
	jw_array_end(w);
}

static int write_titles(char *line, struct columns *cols, struct json_writer *w, struct error *err)
{
	char *word;

	cols->pid = SIZE_MAX;
	jw_karray(w, "Titles");
	while ((word = next_word(&line))) {
		if (strcmp(word, "PID") == 0)
			cols->pid = cols->n;
		jw_string(w, word);
		cols->n++;
	}
	jw_array_end(w);
	return cols->pid == SIZE_MAX
		       ? error_set(err, ERROR_INVALID, 0, "Couldn't find PID field in ps output")
		       : 0;
}

static int write_processes(char *text, const pid_t *pids, size_t n, struct json_writer *w,
			   struct error *err)
{
	struct columns cols = {0};
	char *save = NULL, *line = strtok_r(text, "\n", &save);
	int r = line ? write_titles(line, &cols, w, err)
		     : error_set(err, ERROR_INTERNAL, 0, "ps printed nothing");

	if (r < 0)
		return r;
	jw_karray(w, "Processes");
	while ((line = strtok_r(NULL, "\n", &save))) {
		autofree char *copy = xstrdup(line);
		char *p = copy, *word = NULL;

		for (size_t i = 0; i <= cols.pid; i++)
			word = next_word(&p);
		if (word && is_ours(word, pids, n))
			write_row(line, &cols, w);
	}
	jw_array_end(w);
	return 0;
}

static int list_pids(const char *cgroup, pid_t **ret, size_t *ret_n, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	int r = cgroup_layout_detect(&layout, err);

	if (r >= 0)
		r = cgroup_open(layout, cgroup, &cg, err);
	if (r >= 0)
		r = cgroup_pids(cg, ret, ret_n, err);
	return r;
}

static int answer(struct api_call *c, char *text, const pid_t *pids, size_t n, struct error *err)
{
	autojson struct api_json j = {0};
	int r;

	api_json_init(&j);
	jw_object(&j.w);
	r = write_processes(text, pids, n, &j.w, err);
	jw_object_end(&j.w);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}

int containers_top(struct api_call *c, struct error *err)
{
	struct top t = {.c = c};
	const char *argv[ARGS_MAX];
	const struct spawn_args args = {.path = "/bin/ps", .argv = argv};
	autofree char *cgroup = NULL, *text = NULL;
	autofree pid_t *pids = NULL;
	size_t n = 0;
	int status, r;

	engine_settle(c->engine, c->params[0]);
	r = api_on_loop(c, find, &t, err);
	cgroup = t.cgroup;
	if (r == 0)
		r = split_args(http_request_arena(c->req), api_query(c, "ps_args"), argv, err);
	if (r == 0)
		r = list_pids(cgroup, &pids, &n, err);
	if (r >= 0)
		r = spawn_run(&args, OUTPUT_MAX, &text, &status, err);
	if (r < 0)
		return r;
	if (status != 0)
		return error_set(err, ERROR_INVALID, 0, "ps: exit status %d", status);
	engine_note(c->engine, c->params[0], "top");
	return answer(c, text, pids, n, err);
}
