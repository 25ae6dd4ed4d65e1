/* system df: what takes how much of the disk. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"

struct df_options {
	bool verbose;
	const char *format;
};

static const struct flag df_flags[] = {
	FLAG(struct df_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or "
	     "TEMPLATE"),
	FLAG(struct df_options, "verbose", 'v', FLAG_BOOL, verbose,
	     "Show detailed information on space usage"),
	{0},
};

static const struct output_column df_columns[] = {
	{"Type", "TYPE"}, {"TotalCount", "TOTAL"},        {"Active", "ACTIVE"},
	{"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}, {0},
};

struct sum {
	const char *type;
	int64_t total, active, size, reclaimable;
	bool has_percent;
};

static void put_size(struct json_writer *w, const char *key, int64_t bytes)
{
	autostrbuf struct strbuf size = STRBUF_INIT(64);

	output_size((double)bytes, 4, &size);
	jw_kstring(w, key, size.s);
}

static void put_sum(struct json_writer *w, const struct sum *s)
{
	autostrbuf struct strbuf size = STRBUF_INIT(64);

	output_size((double)s->reclaimable, 4, &size);
	if (s->has_percent && s->size > 0)
		strbuf_addf(&size, " (%lld%%)", (long long)(s->reclaimable * 100 / s->size));
	jw_object(w);
	jw_kstring(w, "Type", s->type);
	jw_key(w, "TotalCount");
	jw_stringf(w, "%lld", (long long)s->total);
	jw_key(w, "Active");
	jw_stringf(w, "%lld", (long long)s->active);
	put_size(w, "Size", s->size);
	jw_kstring(w, "Reclaimable", size.s);
	jw_object_end(w);
}

static struct sum sum_images(const struct json *df)
{
	struct sum s = {
		.type = "Images", .size = json_get_int(df, "LayersSize"), .has_percent = true};
	const struct json *v;
	int64_t used = 0;

	json_array_foreach(v, json_get(df, "Images")) {
		s.total++;
		if (json_get_int(v, "Containers") <= 0)
			continue;
		s.active++;
		used += json_get_int(v, "Size") - json_get_int(v, "SharedSize");
	}
	s.reclaimable = s.size - used;
	return s;
}

static bool is_active(const struct json *container)
{
	const char *state = json_get_string(container, "State") ?: "";

	return str_eq(state, "running") || str_eq(state, "paused") || str_eq(state, "restarting");
}

static struct sum sum_containers(const struct json *df)
{
	struct sum s = {.type = "Containers", .has_percent = true};
	const struct json *v;

	json_array_foreach(v, json_get(df, "Containers")) {
		s.total++;
		s.size += json_get_int(v, "SizeRw");
		if (is_active(v))
			s.active++;
		else
			s.reclaimable += json_get_int(v, "SizeRw");
	}
	return s;
}

static struct sum sum_volumes(const struct json *df)
{
	struct sum s = {.type = "Local Volumes", .has_percent = true};
	const struct json *v;

	json_array_foreach(v, json_get(df, "Volumes")) {
		const struct json *usage = json_get(v, "UsageData");
		int64_t size = json_get_int(usage, "Size");

		s.total++;
		s.size += size > 0 ? size : 0;
		if (json_get_int(usage, "RefCount") > 0)
			s.active++;
		else
			s.reclaimable += size > 0 ? size : 0;
	}
	return s;
}

static int show_sums(struct cli *cli, const struct df_options *o, const struct json *df,
		     struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct output_list list = {
		.columns = df_columns,
		.default_format = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t"
				  "{{.Reclaimable}}",
		.format = o->format};
	const struct sum images = sum_images(df), containers = sum_containers(df),
			 volumes = sum_volumes(df), cache = {.type = "Build Cache"};
	const struct json *rows;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b);
	jw_array(&w);
	put_sum(&w, &images);
	put_sum(&w, &containers);
	put_sum(&w, &volumes);
	put_sum(&w, &cache);
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

/* Verbose ----------------------------------------------------------------------------------- */

static const struct output_column detail_columns[] = {
	{"Repository", "REPOSITORY"},
	{"Tag", "TAG"},
	{"ImageID", "IMAGE ID"},
	{"CreatedSince", "CREATED"},
	{"Size", "SIZE"},
	{"SharedSize", "SHARED SIZE"},
	{"UniqueSize", "UNIQUE SIZE"},
	{"Containers", "CONTAINERS"},
	{"ID", "CONTAINER ID"},
	{"Image", "IMAGE"},
	{"Command", "COMMAND"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Status", "STATUS"},
	{"Names", "NAMES"},
	{"Name", "VOLUME NAME"},
	{"Links", "LINKS"},
	{0},
};

static void image_row(struct cli *cli, const struct json *v, struct json_writer *w)
{
	const char *name = json_string(json_at(json_get(v, "RepoTags"), 0)) ?: "<none>:<none>";
	const char *colon = strrchr(name, ':');
	int64_t size = json_get_int(v, "Size"), shared = json_get_int(v, "SharedSize");

	jw_kstring(w, "Repository", arena_strndup(cli->arena, name, (size_t)(colon - name)));
	jw_kstring(w, "Tag", colon + 1);
	jw_kstring(w, "ImageID", output_short_id(cli, json_get_string(v, "Id") ?: "", false));
	output_age(json_get_int(v, "Created"), "CreatedSince", w);
	put_size(w, "Size", size);
	put_size(w, "SharedSize", shared);
	put_size(w, "UniqueSize", size - shared);
	jw_key(w, "Containers");
	jw_stringf(w, "%lld", (long long)json_get_int(v, "Containers"));
}

static void container_row(struct cli *cli, const struct json *v, struct json_writer *w)
{
	const char *name = json_string(json_at(json_get(v, "Names"), 0)) ?: "";
	const struct json *mount;
	unsigned volumes = 0;

	json_array_foreach(mount, json_get(v, "Mounts"))
		volumes += str_eq(json_get_string(mount, "Type"), "volume");
	jw_kstring(w, "ID", output_short_id(cli, json_get_string(v, "Id") ?: "", false));
	jw_kstring(w, "Image", json_get_string(v, "Image"));
	jw_kstring(w, "Command",
		   arena_printf(cli->arena, "\"%.19s\"", json_get_string(v, "Command") ?: ""));
	jw_key(w, "LocalVolumes");
	jw_stringf(w, "%u", volumes);
	put_size(w, "Size", json_get_int(v, "SizeRw"));
	output_age(json_get_int(v, "Created"), "CreatedSince", w);
	jw_kstring(w, "Status", json_get_string(v, "Status"));
	jw_kstring(w, "Names", name + (*name == '/'));
}

static void volume_row(struct cli *cli, const struct json *v, struct json_writer *w)
{
	const struct json *usage = json_get(v, "UsageData");

	(void)cli;
	jw_kstring(w, "Name", json_get_string(v, "Name"));
	jw_key(w, "Links");
	jw_stringf(w, "%lld", (long long)json_get_int(usage, "RefCount"));
	put_size(w, "Size", json_get_int(usage, "Size"));
}

static const struct detail {
	const char *heading, *member, *format;
	void (*row)(struct cli *cli, const struct json *v, struct json_writer *w);
} details[] = {
	{"Images", "Images",
	 "table {{.Repository}}\t{{.Tag}}\t{{.ImageID}}\t{{.CreatedSince}}\t{{.Size}}\t"
	 "{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
	 image_row},
	{"Containers", "Containers",
	 "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t"
	 "{{.CreatedSince}}\t{{.Status}}\t{{.Names}}",
	 container_row},
	{"Local Volumes", "Volumes", "table {{.Name}}\t{{.Links}}\t{{.Size}}", volume_row},
};

static int show_detail(struct cli *cli, const struct json *df, const struct detail *d,
		       struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct output_list list = {.columns = detail_columns, .default_format = d->format};
	const struct json *v, *rows;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b);
	jw_array(&w);
	json_array_foreach(v, json_get(df, d->member)) {
		jw_object(&w);
		d->row(cli, v, &w);
		jw_object_end(&w);
	}
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	if (r < 0)
		return r;
	printf("%s space usage:\n\n", d->heading);
	r = output_list(cli, &list, rows, err);
	(void)putchar('\n');
	return r;
}

static int cmd_df(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct df_options *o = in->options;
	const struct json *df;
	int r;

	if (o->verbose && o->format && !str_eq(o->format, "json"))
		return error_set(err, ERROR_INVALID, 0,
				 "the verbose option can not be used with a format");
	r = cli_json(cli, "GET", "/system/df", NULL, &df, err);
	if (r >= 0 && o->verbose && o->format)
		return output_documents(cli, &df, 1, o->format, err);
	if (r >= 0 && !o->verbose)
		return show_sums(cli, o, df, err);
	for (size_t i = 0; i < ARRAY_SIZE(details) && r >= 0; i++)
		r = show_detail(cli, df, &details[i], err);
	if (r >= 0)
		printf("Build cache usage: 0B\n");
	return r;
}

const struct command df_commands[] = {
	{.name = "df",
	 .group = "system",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Show disk usage",
	 .flags = df_flags,
	 .options_size = sizeof(struct df_options),
	 .run = cmd_df},
	{0},
};
