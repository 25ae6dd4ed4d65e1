/* POST /vessel/import-docker: images and volumes of a dockerd on this host; a line for each. */
#include <stdio.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/lines.h"
#include "base/mem.h"
#include "engine/docker.h"

#define ROOT_DEFAULT "/var/lib/docker"

static void message(void *data, const char *text)
{
	struct api_call *c = data;

	lines_member(c->req, "stream", text);
}

int system_import_docker(struct api_call *c, struct error *err)
{
	const char *root = api_query(c, "root");
	const struct engine_docker_args args = {
		.root = *root ? root : ROOT_DEFAULT, .message = message, .data = c};
	struct engine_docker_result done;
	int r = engine_docker_import(c->engine, &args, &done, err);
	unsigned failed = r < 0 ? 0 : done.images_failed + done.volumes_failed;

	if (r >= 0) {
		autofree char *text = xasprintf("%u images and %u volumes of '%s' are here\n",
						done.images, done.volumes, args.root);

		message(c, text);
	}
	if (failed > 0)
		r = error_set(err, ERROR_INTERNAL, 0, "%u images and %u volumes are left out",
			      done.images_failed, done.volumes_failed);
	return lines_end(c, r, err);
}
