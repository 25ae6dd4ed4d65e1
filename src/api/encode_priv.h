/* api/encode_priv.h - shared by the files that encode a container. */
#pragma once

#include <stdbool.h>

#include "base/json.h"

struct container;
struct encode_args;
struct network_endpoint;

bool encode_is_up(const struct container *c); /* running or paused */
/* On the default bridge, which is what NetworkSettings itself shows; NULL: none, or down. */
const struct network_endpoint *encode_endpoint(const struct encode_args *a,
					       const struct container *c);

/* Members. */
void encode_addresses(struct json_writer *w, const struct network_endpoint *ep); /* NULL: "" */
void encode_mac(struct json_writer *w, const struct network_endpoint *ep);
void encode_port_map(const struct container *c, struct json_writer *w);  /* inspect */
void encode_port_list(const struct container *c, struct json_writer *w); /* ps */
