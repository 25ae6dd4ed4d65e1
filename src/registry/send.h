/* registry/send.h - a push's layers: made, looked for, mounted, sent; several at a time. */
#pragma once

#include "registry/pull.h"

struct remote;
struct store_publish;

struct send_args {
	const struct registry_args *registry; /* borrowed, as all here */
	struct remote *remote;
	struct store_publish *publish;
	const struct image_ref *ref;
};
/* Returns when the registry has every layer. */
int send_layers(const struct send_args *args, struct error *err);
