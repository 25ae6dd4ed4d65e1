/* engine/docker.h - what a dockerd has: its images and volumes, brought over. */
#pragma once

struct engine;
struct error;

struct engine_docker_args {
	const char *root;                              /* absolute: its data root */
	void (*message)(void *data, const char *text); /* a line, with its newline */
	void *data;
};
struct engine_docker_result {
	unsigned images, volumes;               /* brought over, or there already */
	unsigned images_failed, volumes_failed; /* told by a message */
};
/* [worker] Its containers may run, but what they write meanwhile may be missing.  Nothing of it is
 * changed.  Errors as of store_docker_import; what is wrong with one image or volume is told only. */
int engine_docker_import(struct engine *e, const struct engine_docker_args *args,
			 struct engine_docker_result *ret, struct error *err);
