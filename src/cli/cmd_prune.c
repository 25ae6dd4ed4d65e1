/* prune of containers, images and everything; system fsck. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "http/client.h"

/* Prune ------------------------------------------------------------------------------------- */

struct prune_options {
	bool all, force, volumes;
	struct strv filter;
};

#define PRUNE_FORCE \
	FLAG(struct prune_options, "force", 'f', FLAG_BOOL, force, "Do not prompt for confirmation")
#define PRUNE_FILTER                                                                         \
	FLAG_CHECKED(struct prune_options, "filter", 0, FLAG_LIST, filter, cli_check_filter, \
		     "Provide filter values (e.g. \"until=<timestamp>\")")

static const struct flag container_flags[] = {PRUNE_FORCE, PRUNE_FILTER, {0}};

static const struct flag image_flags[] = {
	FLAG(struct prune_options, "all", 'a', FLAG_BOOL, all,
	     "Remove all unused images, not just dangling ones"),
	PRUNE_FORCE,
	PRUNE_FILTER,
	{0},
};

static const struct flag system_flags[] = {
	FLAG(struct prune_options, "all", 'a', FLAG_BOOL, all,
	     "Remove all unused images not just dangling ones"),
	PRUNE_FORCE,
	PRUNE_FILTER,
	FLAG(struct prune_options, "volumes", 0, FLAG_BOOL, volumes, "Prune anonymous volumes"),
	{0},
};

/* What an answer of a prune says has gone, under a heading; the space is added up. */
static void show(const struct json *answer, const char *member, const char *heading,
		 int64_t *reclaimed)
{
	const struct json *v;

	*reclaimed += json_get_int(answer, "SpaceReclaimed");
	if (!json_count(json_get(answer, member)))
		return;
	printf("%s:\n", heading);
	json_array_foreach(v, json_get(answer, member)) {
		if (json_type(v) == JSON_STRING)
			printf("%s\n", json_string(v));
		else if (json_get_string(v, "Untagged"))
			printf("untagged: %s\n", json_get_string(v, "Untagged"));
		else if (json_get_string(v, "Deleted"))
			printf("deleted: %s\n", json_get_string(v, "Deleted"));
	}
	(void)putchar('\n');
}

static void show_total(int64_t reclaimed)
{
	autostrbuf struct strbuf size = STRBUF_INIT(64);

	output_size((double)reclaimed, 4, &size);
	printf("Total reclaimed space: %s\n", size.s);
}

static int prune_one(struct cli *cli, const char *what, const struct strv *filter,
		     const struct json **ret, struct error *err)
{
	const char *filters = "";
	int r = cli_filters(cli, filter, &filters, err);

	return r < 0 ? r
		     : cli_json(cli, "POST", cli_path(cli, "/%s/prune?filters=%s", what, filters),
				NULL, ret, err);
}

static int cmd_container_prune(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct prune_options *o = in->options;
	const struct json *answer;
	int64_t reclaimed = 0;
	int r;

	if (!o->force && !objects_confirm("This will remove all stopped containers."))
		return error_set(err, ERROR_INVALID, 0, "container prune has been cancelled");
	r = prune_one(cli, "containers", &o->filter, &answer, err);
	if (r < 0)
		return r;
	show(answer, "ContainersDeleted", "Deleted Containers", &reclaimed);
	show_total(reclaimed);
	return 0;
}

static int prune_images(struct cli *cli, struct prune_options *o, int64_t *reclaimed,
			struct error *err)
{
	const struct json *answer;
	int r;

	strv_addf(&o->filter, "dangling=%s", o->all ? "false" : "true");
	r = prune_one(cli, "images", &o->filter, &answer, err);
	free(o->filter.v[--o->filter.n]);
	if (r < 0)
		return r;
	show(answer, "ImagesDeleted", "Deleted Images", reclaimed);
	return 0;
}

static int cmd_image_prune(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct prune_options *o = in->options;
	int64_t reclaimed = 0;
	int r;

	if (!o->force &&
	    !objects_confirm(o->all ? "This will remove all images without at least one container "
				      "associated to them."
				    : "This will remove all dangling images."))
		return error_set(err, ERROR_INVALID, 0, "image prune has been cancelled");
	r = prune_images(cli, o, &reclaimed, err);
	if (r < 0)
		return r;
	show_total(reclaimed);
	return 0;
}

static int prune_system(struct cli *cli, struct prune_options *o, int64_t *reclaimed,
			struct error *err)
{
	const struct json *answer;
	int r = prune_one(cli, "containers", &o->filter, &answer, err);

	if (r < 0)
		return r;
	show(answer, "ContainersDeleted", "Deleted Containers", reclaimed);
	r = prune_one(cli, "networks", &o->filter, &answer, err);
	if (r < 0)
		return r;
	show(answer, "NetworksDeleted", "Deleted Networks", reclaimed);
	if (o->volumes) {
		r = prune_one(cli, "volumes", &o->filter, &answer, err);
		if (r < 0)
			return r;
		show(answer, "VolumesDeleted", "Deleted Volumes", reclaimed);
	}
	return prune_images(cli, o, reclaimed, err);
}

static int cmd_system_prune(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct prune_options *o = in->options;
	int64_t reclaimed = 0;
	const char *warning;
	int r;

	for (size_t i = 0; o->volumes && i < o->filter.n; i++)
		if (str_has_prefix(o->filter.v[i], "until="))
			return error_set(err, ERROR_INVALID, 0,
					 "ERROR: The \"until\" filter is not supported with "
					 "\"--volumes\"");
	warning = arena_printf(
		cli->arena,
		"This will remove:\n  - all stopped containers\n  - all networks not used by at "
		"least one container\n%s  - all %s\n",
		o->volumes ? "  - all anonymous volumes not used by at least one container\n" : "",
		o->all ? "images without at least one container associated to them"
		       : "dangling images");
	if (!o->force && !objects_confirm(warning))
		return error_set(err, ERROR_INVALID, 0, "system prune has been cancelled");
	r = prune_system(cli, o, &reclaimed, err);
	if (r < 0)
		return r;
	show_total(reclaimed);
	return 0;
}

/* Fsck -------------------------------------------------------------------------------------- */

/* fsck(8) */
enum { FSCK_OK = 0, FSCK_MENDED = 1, FSCK_LEFT = 4, FSCK_FAILED = 8 };

struct fsck_options {
	bool repair, deep;
	const char *data_root;
};

static const struct flag fsck_flags[] = {
	FLAG(struct fsck_options, "data-root", 0, FLAG_STRING, data_root,
	     "Check the data root of an engine that does not run"),
	FLAG(struct fsck_options, "deep", 0, FLAG_BOOL, deep,
	     "Read every layer and compare its digest"),
	FLAG(struct fsck_options, "repair", 0, FLAG_BOOL, repair, "Mend what can be mended"),
	{0},
};

static int fsck_line(const struct json *line, void *data, struct error *err)
{
	const char *path = json_get_string(line, "Path"), *problem = json_get_string(line, "error");
	int64_t problems = json_get_int(line, "Problems"), mended = json_get_int(line, "Mended");

	if (problem)
		return error_set(err, ERROR_INTERNAL, 0, "%s", problem);
	if (path) {
		printf("%s: %s%s\n", path, json_get_string(line, "Problem") ?: "",
		       json_get_bool(line, "Mended") ? " (mended)" : "");
		return 0;
	}
	printf("%lld images, %lld layers, %lld containers: %lld problems, %lld mended\n",
	       (long long)json_get_int(line, "Images"), (long long)json_get_int(line, "Layers"),
	       (long long)json_get_int(line, "Containers"), (long long)problems, (long long)mended);
	*(int *)data = problems > mended ? FSCK_LEFT : problems > 0 ? FSCK_MENDED : FSCK_OK;
	return 0;
}

static int fsck_offline(struct cli *cli, const struct fsck_options *o, struct error *err)
{
	const char *argv[6] = {"vessel-fsck", "--data-root", o->data_root};
	size_t n = 3;

	if (o->repair)
		argv[n++] = "--repair";
	if (o->deep)
		argv[n++] = "--deep";
	if (!cli->run)
		return error_set(err, ERROR_INVALID, 0,
				 "a data root can be checked on its own host only");
	return cli->run(argv[0], (char **)argv, err);
}

static int cmd_fsck(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct fsck_options *o = in->options;
	struct http_client_request req = {.method = "POST"};
	struct http_response *response = NULL;
	int code = FSCK_FAILED, r;

	if (o->data_root) {
		r = fsck_offline(cli, o, err);
	} else {
		r = cli_send(cli, &req,
			     cli_path(cli, "/vessel/fsck?repair=%d&deep=%d", o->repair, o->deep),
			     &response, err);
		r = r < 0 ? r : cli_each_line(response, fsck_line, &code, err);
		(void)http_response_free(response);
	}
	if (r < 0)
		cli_complain(err);
	return code;
}

const struct command prune_commands[] = {
	{.name = "prune",
	 .group = "container",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Remove all stopped containers",
	 .flags = container_flags,
	 .options_size = sizeof(struct prune_options),
	 .run = cmd_container_prune},
	{.name = "prune",
	 .group = "image",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Remove unused images",
	 .flags = image_flags,
	 .options_size = sizeof(struct prune_options),
	 .run = cmd_image_prune},
	{.name = "prune",
	 .group = "system",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Remove unused data",
	 .flags = system_flags,
	 .options_size = sizeof(struct prune_options),
	 .run = cmd_system_prune},
	{.name = "fsck",
	 .group = "system",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Check, and mend, what the engine has stored",
	 .flags = fsck_flags,
	 .options_size = sizeof(struct fsck_options),
	 .run = cmd_fsck},
	{0},
};
