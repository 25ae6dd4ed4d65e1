/* top and stats: what runs in containers, and what they take.
 *
 * stats compares two samples of each container that are its own, by single requests that wait for nothing:
 * a thousand containers take two rounds over one connection, not a thousand streams.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

#define TEXT_MAX       (64 << 20)
#define TOP_COLUMN_MIN 20                 /* Docker's for ps */
#define FIRST_GAP_NS   (500L * 1000000)   /* between the two samples of the first figures */
#define NEXT_GAP_NS    (1000L * 1000000L) /* and from then on */

/* top --------------------------------------------------------------------------------------- */

static void add_cells(const struct json *cells, struct strbuf *out)
{
	const struct json *cell;
	bool first = true;

	json_array_foreach(cell, cells) {
		strbuf_addf(out, "%s%s", first ? "" : "\t", json_string(cell) ?: "");
		first = false;
	}
	strbuf_addc(out, '\n');
}

static int cmd_top(struct cli *cli, const struct invocation *in, struct error *err)
{
	autostrbuf struct strbuf options = STRBUF_INIT(CLI_LINE_MAX), text = STRBUF_INIT(TEXT_MAX),
				 out = STRBUF_INIT(TEXT_MAX);
	const struct json *answer, *process;
	int r;

	for (int i = 1; i < in->parsed.arg_count; i++)
		strbuf_addf(&options, "%s%s", i > 1 ? " " : "", in->parsed.args[i]);
	r = cli_json(cli, "GET",
		     cli_path(cli, "/containers/%s/top%s%s", cli_escape(cli, in->parsed.args[0]),
			      options.len ? "?ps_args=" : "", cli_escape(cli, options.s)),
		     NULL, &answer, err);
	if (r < 0)
		return r;
	add_cells(json_get(answer, "Titles"), &text);
	json_array_foreach(process, json_get(answer, "Processes"))
		add_cells(process, &text);
	output_aligned(text.s, TOP_COLUMN_MIN, &out);
	(void)fputs(out.s, stdout);
	return 0;
}

/* stats ------------------------------------------------------------------------------------- */

struct stats_options {
	bool all, no_stream, no_trunc;
	const char *format;
};

static const struct flag stats_flags[] = {
	FLAG(struct stats_options, "all", 'a', FLAG_BOOL, all,
	     "Show all containers (default shows just running)"),
	FLAG(struct stats_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or "
	     "TEMPLATE"),
	FLAG(struct stats_options, "no-stream", 0, FLAG_BOOL, no_stream,
	     "Disable streaming stats and only pull the first result"),
	FLAG(struct stats_options, "no-trunc", 0, FLAG_BOOL, no_trunc, "Do not truncate output"),
	{0},
};

static const struct output_column stats_columns[] = {
	{"Container", "CONTAINER"},
	{"ID", "CONTAINER ID"},
	{"Name", "NAME"},
	{"CPUPerc", "CPU %"},
	{"MemUsage", "MEM USAGE / LIMIT"},
	{"MemPerc", "MEM %"},
	{"NetIO", "NET I/O"},
	{"BlockIO", "BLOCK I/O"},
	{"PIDs", "PIDS"},
	{0},
};

struct figures {
	double cpu_percent, memory, limit, received, sent, read, written;
	int64_t pids;
};

struct subject {
	char *asked;        /* owned: as it was named, or the whole ID */
	char *id, *name;    /* owned; NULL until the engine has said them */
	bool valid;         /* figures are */
	bool gone;          /* and is no longer listed */
	double cpu, system; /* the last sample's, to compare with */
	struct figures figures;
};

struct watch {
	const struct stats_options *options;
	struct subject *subjects; /* owned */
	size_t n;
	bool listed; /* by the engine, not by the user */
};

static void subject_done(struct subject *s)
{
	free(s->asked);
	free(s->id);
	free(s->name);
}

static void watch_done(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		subject_done(&w->subjects[i]);
	free(w->subjects);
}
#define autowatch __attribute__((cleanup(watch_done)))

static struct subject *find_subject(struct watch *w, const char *asked)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->subjects[i].asked, asked))
			return &w->subjects[i];
	return NULL;
}

static struct subject *add_subject(struct watch *w, const char *asked)
{
	struct subject *s = find_subject(w, asked);

	if (s)
		return s;
	w->subjects = xrealloc(w->subjects, w->n + 1, sizeof(*w->subjects));
	s = &w->subjects[w->n++];
	*s = (struct subject){.asked = xstrdup(asked)};
	return s;
}

static void drop_gone(struct watch *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (w->subjects[i].gone)
			subject_done(&w->subjects[i]);
		else
			w->subjects[kept++] = w->subjects[i];
	}
	w->n = kept;
}

/* The engine's list: those that are new stand behind the others. */
static int list_subjects(struct cli *cli, struct watch *w, struct error *err)
{
	const struct json *list, *v;
	int r = cli_json(cli, "GET", cli_path(cli, "/containers/json?all=%d", w->options->all),
			 NULL, &list, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n; i++)
		w->subjects[i].gone = true;
	json_array_foreach(v, list) {
		const char *id = json_get_string(v, "Id");

		if (id)
			add_subject(w, id)->gone = false;
	}
	drop_gone(w);
	return 0;
}

/* What is used without what the kernel would give up at once, as Docker's client counts. */
static double memory_used(const struct json *memory)
{
	const struct json *stats = json_get(memory, "stats");
	double usage = json_double(json_get(memory, "usage")),
	       inactive = json_double(json_get(stats, "total_inactive_file"));

	if (!json_get(stats, "total_inactive_file") || inactive >= usage)
		inactive = json_double(json_get(stats, "inactive_file"));
	return inactive < usage ? usage - inactive : usage;
}

static void sum_blocks(const struct json *entries, struct figures *f)
{
	const struct json *v;

	json_array_foreach(v, entries) {
		char op = (json_get_string(v, "op") ?: "")[0];
		double value = json_double(json_get(v, "value"));

		if (op == 'r' || op == 'R')
			f->read += value;
		else if (op == 'w' || op == 'W')
			f->written += value;
	}
}

static double cpu_percent(const struct json *cpu, struct subject *s)
{
	const struct json *usage = json_get(cpu, "cpu_usage");
	double total = json_double(json_get(usage, "total_usage")),
	       system = json_double(json_get(cpu, "system_cpu_usage")),
	       cpus = json_double(json_get(cpu, "online_cpus")), percent = 0;

	if (cpus == 0)
		cpus = (double)json_count(json_get(usage, "percpu_usage"));
	if (s->system > 0 && system > s->system && total > s->cpu)
		percent = (total - s->cpu) / (system - s->system) * cpus * 100;
	s->cpu = total;
	s->system = system;
	return percent;
}

static void take_figures(const struct json *answer, struct subject *s)
{
	const struct json *memory = json_get(answer, "memory_stats"),
			  *networks = json_get(answer, "networks");
	const char *name = json_get_string(answer, "name") ?: "";
	struct figures f = {
		.cpu_percent = cpu_percent(json_get(answer, "cpu_stats"), s),
		.memory = memory_used(memory),
		.limit = json_double(json_get(memory, "limit")),
		.pids = json_get_int(json_get(answer, "pids_stats"), "current"),
	};

	for (size_t i = 0; i < json_count(networks); i++) {
		f.received += json_double(json_get(json_value_at(networks, i), "rx_bytes"));
		f.sent += json_double(json_get(json_value_at(networks, i), "tx_bytes"));
	}
	sum_blocks(json_get(json_get(answer, "blkio_stats"), "io_service_bytes_recursive"), &f);
	free(s->id);
	free(s->name);
	s->id = xstrdup(json_get_string(answer, "id") ?: "");
	s->name = xstrdup(name[0] == '/' ? name + 1 : name);
	s->figures = f;
	s->valid = true;
}

/* One sample of each.  Who is not there any more has no figures; those that the user named must be there
 * in the first round. */
static int sample_all(struct cli *cli, struct watch *w, bool first, struct error *err)
{
	autostrbuf struct strbuf problems = STRBUF_INIT(1 << 20);

	for (size_t i = 0; i < w->n; i++) {
		struct subject *s = &w->subjects[i];
		autoerror struct error why = {0};
		const struct json *answer;
		int r = cli_json(cli, "GET",
				 cli_path(cli, "/containers/%s/stats?stream=0&one-shot=1",
					  cli_escape(cli, s->asked)),
				 NULL, &answer, &why);

		if (r >= 0) {
			take_figures(answer, s);
			continue;
		}
		/* Or it went when the answer had begun: then there is no document in it. */
		if (why.kind != ERROR_NOT_FOUND && !(w->listed && why.kind == ERROR_INVALID))
			return error_move(err, &why, r);
		if (first && !w->listed)
			strbuf_addf(&problems, "%s%s", problems.len ? "\n" : "", error_msg(&why));
		s->valid = false;
		s->gone = w->listed;
	}
	drop_gone(w);
	return problems.len ? error_set(err, ERROR_NOT_FOUND, 0, "%s", problems.s) : 0;
}

static void put_pair(struct json_writer *w, const char *key, double a, double b)
{
	autostrbuf struct strbuf text = STRBUF_INIT(128);

	output_size(a, 3, &text);
	strbuf_adds(&text, " / ");
	output_size(b, 3, &text);
	jw_kstring(w, key, text.s);
}

static void put_percent(struct json_writer *w, const char *key, double percent)
{
	jw_key(w, key);
	jw_stringf(w, "%.2f%%", percent);
}

static void put_figures(struct json_writer *w, const struct figures *f)
{
	autostrbuf struct strbuf memory = STRBUF_INIT(128);

	output_size_binary(f->memory, &memory);
	strbuf_adds(&memory, " / ");
	output_size_binary(f->limit, &memory);
	put_percent(w, "CPUPerc", f->cpu_percent);
	jw_kstring(w, "MemUsage", memory.s);
	put_percent(w, "MemPerc", f->limit > 0 ? f->memory / f->limit * 100 : 0);
	put_pair(w, "NetIO", f->received, f->sent);
	put_pair(w, "BlockIO", f->read, f->written);
	jw_key(w, "PIDs");
	jw_stringf(w, "%lld", (long long)f->pids);
}

static void put_nothing(struct json_writer *w)
{
	static const char *const keys[] = {"CPUPerc", "MemPerc", "NetIO", "BlockIO", "PIDs"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		jw_kstring(w, keys[i], "--");
	jw_kstring(w, "MemUsage", "-- / --");
}

static int write_table(struct cli *cli, const struct watch *w, struct strbuf *out,
		       struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEXT_MAX);
	struct output_list list = {
		.columns = stats_columns,
		.default_format = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{."
				  "MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
		.format = w->options->format,
	};
	const struct json *rows;
	struct json_writer j;
	int r;

	json_writer_init(&j, &b);
	jw_array(&j);
	for (size_t i = 0; i < w->n; i++) {
		const struct subject *s = &w->subjects[i];

		jw_object(&j);
		jw_kstring(&j, "Container", s->asked);
		jw_kstring(&j, "ID", output_short_id(cli, s->id, w->options->no_trunc));
		jw_kstring(&j, "Name", str_empty(s->name) ? "--" : s->name);
		if (s->valid)
			put_figures(&j, &s->figures);
		else
			put_nothing(&j);
		jw_object_end(&j);
	}
	jw_array_end(&j);
	r = strbuf_error(&b);
	if (r < 0)
		return error_set(err, ERROR_INVALID, -r, "statistics");
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list_text(cli, &list, rows, out, err);
}

/* Over what is on the screen, in one write: each line's and the screen's old rest is erased. */
static int redraw(struct cli *cli, const struct watch *w, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(TEXT_MAX), out = STRBUF_INIT(TEXT_MAX);
	int r = write_table(cli, w, &text, err);

	if (r < 0)
		return r;
	strbuf_adds(&out, "\x1b[H");
	for (const char *p = text.s; *p;) {
		size_t len = strcspn(p, "\n");

		strbuf_add(&out, p, len);
		strbuf_adds(&out, " \x1b[K\n");
		p += len + (p[len] != '\0');
	}
	strbuf_adds(&out, " \x1b[K\n\x1b[J");
	(void)fputs(out.s, stdout);
	if (fflush(stdout) != 0)
		return error_set(err, ERROR_INTERNAL, errno, "write output");
	return 0;
}

static void pause_for(long ns)
{
	struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* One round: who is there, a sample of each, and the screen.  What it parses goes with it. */
static int look_again(struct cli *cli, struct watch *w, struct error *err)
{
	struct arena *whole = cli->arena;
	int r = 0;

	cli->arena = arena_new();
	if (w->listed)
		r = list_subjects(cli, w, err);
	if (r >= 0)
		r = sample_all(cli, w, false, err);
	if (r >= 0)
		r = redraw(cli, w, err);
	(void)arena_free(cli->arena);
	cli->arena = whole;
	return r;
}

static int show_once(struct cli *cli, const struct watch *w, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(TEXT_MAX);
	int r = write_table(cli, w, &out, err);

	if (r >= 0)
		(void)fputs(out.s, stdout);
	return r;
}

static int cmd_stats(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct stats_options *o = in->options;
	autowatch struct watch w = {.options = o, .listed = in->parsed.arg_count == 0};
	int r = 0;

	for (int i = 0; i < in->parsed.arg_count; i++)
		(void)add_subject(&w, in->parsed.args[i]);
	if (w.listed)
		r = list_subjects(cli, &w, err);
	if (r >= 0)
		r = sample_all(cli, &w, true, err);
	if (r < 0)
		return r;
	if (w.n > 0)
		pause_for(FIRST_GAP_NS);
	if (o->no_stream) {
		r = sample_all(cli, &w, false, err);
		return r < 0 ? r : show_once(cli, &w, err);
	}
	while ((r = look_again(cli, &w, err)) >= 0)
		pause_for(NEXT_GAP_NS);
	return r;
}

const struct command stats_commands[] = {
	{.name = "top",
	 .group = "container",
	 .stop_at_argument = true,
	 .usage = "CONTAINER [ps OPTIONS]",
	 .help = "Display the running processes of a container",
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_top},
	{.name = "stats",
	 .group = "container",
	 .usage = "[OPTIONS] [CONTAINER...]",
	 .help = "Display a live stream of container(s) resource usage statistics",
	 .flags = stats_flags,
	 .options_size = sizeof(struct stats_options),
	 .max_args = -1,
	 .run = cmd_stats},
	{0},
};
