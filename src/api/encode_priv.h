/* api/encode_priv.h - shared by the files that encode a container. */
#pragma once

#include <stdbool.h>

#include "base/json.h"

struct container;
struct network_endpoint;

bool encode_is_up(const struct container *c);                              /* running or paused */
const struct network_endpoint *encode_endpoint(const struct container *c); /* NULL: none, or down */

/* Members. */
void encode_addresses(struct json_writer *w, const struct network_endpoint *ep); /* NULL: "" */
void encode_mac(struct json_writer *w, const struct network_endpoint *ep);
void encode_port_map(const struct container *c, struct json_writer *w);  /* inspect */
void encode_port_list(const struct container *c, struct json_writer *w); /* ps */
