/* What networks and volumes have in common. */
#include "cli/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void objects_map(struct json_writer *w, const char *name, const struct strv *items)
{
	jw_kobject(w, name);
	for (size_t i = 0; i < items->n; i++) {
		autofree char *key = xstrndup(items->v[i], strcspn(items->v[i], "="));
		const char *value = items->v[i] + strlen(key);
		bool again = false;

		/* The last one of a key counts. */
		for (size_t k = i + 1; k < items->n; k++)
			again |= strncmp(items->v[k], key, strlen(key)) == 0 &&
				 (items->v[k][strlen(key)] == '=' || !items->v[k][strlen(key)]);
		if (!again)
			jw_kstring(w, key, *value ? value + 1 : "");
	}
	jw_object_end(w);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *objects_labels(struct cli *cli, const struct json *labels)
{
	autostrbuf struct strbuf out = STRBUF_INIT(CLI_RESPONSE_MAX);
	autostrv struct strv all = {0};
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, labels)
		strv_addf(&all, "%s=%s", key, json_string(v) ? json_string(v) : "");
	if (all.n > 0)
		qsort(all.v, all.n, sizeof(*all.v), compare_strings);
	for (size_t i = 0; i < all.n; i++)
		strbuf_addf(&out, "%s%s", i ? "," : "", all.v[i]);
	return arena_strdup(cli->arena, out.s);
}

struct sorted {
	const char *key;
	size_t index;
};

static int compare_sorted(const void *a, const void *b)
{
	return strverscmp(((const struct sorted *)a)->key, ((const struct sorted *)b)->key);
}

const size_t *objects_sorted(struct cli *cli, const struct json *list, const char *member)
{
	size_t n = json_count(list);
	struct sorted *v = arena_alloc(cli->arena, (n + 1) * sizeof(*v));
	size_t *ret = arena_alloc(cli->arena, (n + 1) * sizeof(*ret));

	for (size_t i = 0; i < n; i++) {
		const char *key = json_get_string(json_at(list, i), member);

		v[i] = (struct sorted){key ? key : "", i};
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), compare_sorted);
	for (size_t i = 0; i < n; i++)
		ret[i] = v[i].index;
	return ret;
}

int objects_remove(struct cli *cli, const struct invocation *in, const struct objects_removal *how,
		   struct error *err)
{
	int failed = 0;

	for (int i = 0; i < in->parsed.arg_count; i++) {
		const char *name = in->parsed.args[i];

		if (cli_json(cli, "DELETE",
			     cli_path(cli, "%s/%s%s", how->path, cli_escape(cli, name), how->query),
			     NULL, NULL, err) < 0) {
			if (how->force && err->kind == ERROR_NOT_FOUND) {
				error_done(err);
				continue;
			}
			failed = 1;
			cli_complain(err);
			continue;
		}
		printf("%s\n", name);
	}
	(void)fflush(stdout); /* before what stderr is told */
	if (failed && how->says_status)
		(void)fprintf(stderr, "exit status 1\n");
	return failed;
}

bool objects_confirm(const char *warning)
{
	char answer[16] = "";

	printf("WARNING! %s\nAre you sure you want to continue? [y/N] ", warning);
	(void)fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	answer[strcspn(answer, "\r\n")] = '\0';
	return strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0;
}
