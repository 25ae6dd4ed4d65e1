/* engine/volume_priv.h - shared by the files of volumes. */
#pragma once

#include "engine/volume.h"

#define VOLUME_SUBPATH_NAME "subpath-" /* in a runtime directory, with a number */

/* [worker] Make a volume of this name unless it is there; durable with the next durable commit. */
int volume_ensure(struct engine *e, const struct volume_request *q, const char *name,
		  struct error *err);
/* All but what VolumesFrom brings; for rows from before mount points were stored as well. */
void volumes_resolve_own(struct engine *e, const char *id, struct container_spec *s);
