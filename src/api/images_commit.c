/* POST /commit: an image of what a container has changed. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "base/arena.h"
#include "engine/images.h"

int images_commit(struct api_call *c, struct error *err)
{
	const char *author = api_query(c, "author"), *comment = api_query(c, "comment"),
		   *repo = api_query(c, "repo");
	struct engine_commit_args args = {
		.ref = api_query(c, "container"),
		.name = *repo ? image_reference(c, repo, api_query(c, "tag")) : NULL,
		.author = *author ? author : NULL,
		.comment = *comment ? comment : NULL,
		.changes = api_query_all(c, "changes"),
		.pause = *api_query(c, "pause") == '\0' || api_query_bool(c, "pause"),
	};
	char id[DIGEST_STRING_SIZE];
	autojson struct api_json j = {0};
	int r = api_body(c, &args.config, err);

	r = r < 0 ? r : engine_commit(c->engine, &args, id, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Id", id);
	jw_object_end(&j.w);
	return api_answer_json(c, 201, &j.out, err);
}
