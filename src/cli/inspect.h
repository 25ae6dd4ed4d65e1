/* cli/inspect.h - inspect, of one type or of all. */
#pragma once

#include "cli/cli.h"

struct inspect_options {
	const char *format, *type;
	const char *platform; /* of images */
	bool size;            /* of containers */
	bool verbose;         /* of networks */
};
/* --format alone; inspect itself has more. */
extern const struct flag inspect_format_flags[];
/* type: "network"...; NULL: what --type says, or the first that knows the name. */
int inspect_objects(struct cli *cli, const struct invocation *in, const char *type,
		    struct error *err);
