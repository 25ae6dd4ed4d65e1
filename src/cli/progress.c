/* Progress. */
#include "cli/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/output.h"

#define BAR_SIZE        50
#define BAR_MIN_COLUMNS 110 /* a narrower terminal gets the numbers only */

struct progress {
	const struct progress_args *args;
	bool is_terminal;
	int columns;
	struct strv ids; /* owned: one a line that is being drawn */
};

static size_t find_line(const struct progress *p, const char *id)
{
	size_t i = 0;

	while (i < p->ids.n && !str_eq(p->ids.v[i], id))
		i++;
	return i;
}

static void add_bar(struct strbuf *b, const struct progress *p, int64_t current, int64_t total)
{
	int done = (int)(current * BAR_SIZE / total);

	if (p->columns > BAR_MIN_COLUMNS) {
		strbuf_addc(b, '[');
		for (int i = 0; i < BAR_SIZE; i++)
			strbuf_addc(b, i < done ? '=' : i == done ? '>' : ' ');
		strbuf_adds(b, "] ");
	}
}

/* "[===>   ]  1.2MB/3.4MB"; nothing for a state without a measure. */
static void add_measure(struct strbuf *b, const struct progress *p, const struct json *detail)
{
	int64_t current = json_get_int(detail, "current"), total = json_get_int(detail, "total");
	autostrbuf struct strbuf size = STRBUF_INIT(64);

	if (current <= 0 && total <= 0)
		return;
	if (total > 0 && current <= total)
		add_bar(b, p, current, total);
	output_size((double)current, 4, &size);
	strbuf_addf(b, "%8s", size.s);
	if (total > 0 && current <= total) {
		strbuf_reset(&size);
		output_size((double)total, 4, &size);
		strbuf_addf(b, "/%s", size.s);
	}
}

static void draw(struct progress *p, const char *id, const char *text)
{
	size_t line = find_line(p, id), up;
	FILE *out = p->args->out;

	if (line == p->ids.n) {
		strv_add(&p->ids, id);
		(void)fputc('\n', out);
	}
	up = p->ids.n - line;
	(void)fprintf(out, "\x1b[%zuA\x1b[2K\r%s: %s\r\x1b[%zuB", up, id, text, up);
	(void)fflush(out);
}

static void show_status(struct progress *p, const struct json *doc)
{
	const struct json *detail = json_get(doc, "progressDetail");
	const char *id = json_get_string(doc, "id"), *status = json_get_string(doc, "status");
	autostrbuf struct strbuf text = STRBUF_INIT(65536);

	if (!status)
		return;
	strbuf_addf(&text, "%s ", status);
	add_measure(&text, p, detail);
	if (!str_empty(id) && detail && p->is_terminal) {
		draw(p, id, text.s);
		return;
	}
	if (json_count(detail) > 0)
		return; /* nothing for a log */
	strv_done(&p->ids);
	p->ids = (struct strv){0};
	(void)fprintf(p->args->out, "%s%s%s\n", id ? id : "", id ? ": " : "", status);
}

static int show_line(const struct json *doc, void *data, struct error *err)
{
	const char *problem = json_get_string(doc, "error"),
		   *stream = json_get_string(doc, "stream");
	const struct json *aux = json_get(doc, "aux");
	struct progress *p = data;

	if (problem)
		return error_set(err, ERROR_INTERNAL, 0, "%s", problem);
	if (aux && p->args->aux)
		p->args->aux(p->args->data, aux);
	if (p->args->quiet || aux)
		return 0;
	if (stream)
		(void)fputs(stream, p->args->out);
	else
		show_status(p, doc);
	return 0;
}

int progress_show(struct cli *cli, struct http_response *response, const struct progress_args *args,
		  struct error *err)
{
	struct progress p = {.args = args, .is_terminal = isatty(fileno(args->out))};
	struct winsize size;
	int r;

	(void)cli;
	if (ioctl(fileno(args->out), TIOCGWINSZ, &size) == 0)
		p.columns = size.ws_col;
	r = cli_each_line(response, show_line, &p, err);
	strv_done(&p.ids);
	return r;
}
