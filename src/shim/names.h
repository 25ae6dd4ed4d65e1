/* shim/names.h - who is called what on a network: the files that vesseld writes and shims read.
 *
 * shim/protocol.h describes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "linux/netaddr.h"
#include "shim/dns.h"
#include "shim/protocol.h"

#define NAMES_MAX      64 /* addresses of one name that are told */
#define NAMES_FILE_MAX ((size_t)64 << 20)

/* Walk through lines and words. */
struct names_text {
	const char *s;
	size_t len;
};
bool names_line(struct names_text *text, struct names_text *ret); /* without the line feed */
bool names_word(struct names_text *line, struct names_text *ret);
bool names_is(const struct names_text *word, const char *s);

struct names_found {
	bool known; /* somebody has the name, with whatever addresses */
	struct netaddr v[NAMES_MAX];
	size_t n;
};
/* Add to *found the addresses (of `family`; AF_UNSPEC: any) that `name` has on a network; "NAME.NETWORK"
 * is another form of it. */
void names_find(struct names_text network, const char *name, sa_family_t family,
		struct names_found *found);
/* The "NAME.NETWORK" of an address, false if nobody has it. */
bool names_reverse(struct names_text network, const struct netaddr *a,
		   char ret[static DNS_NAME_MAX]);
