/* config.json: what parses can be planned, and every refusal has a kind and a message. */
#include <stdlib.h>

#include "base/error.h"
#include "oci/runtime_spec.h"
#include "runtime/plan.h"

#include "fuzz.h"

static void check_error(int r, struct error *err)
{
	if (r < 0 &&
	    (!err->msg || (err->kind != ERROR_INVALID && err->kind != ERROR_NOT_IMPLEMENTED)))
		abort();
	if (r >= 0 && err->msg)
		abort();
	error_done(err);
}

static void check_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const char *d = plan->mounts[i].destination;

		/* relative to the root, and not above it */
		if (d[0] == '/' || d[0] == '\0' || (d[0] == '.' && d[1] == '.' && d[2] == '/'))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	struct error err = {0};
	struct oci_spec spec;
	struct plan plan;
	int r = oci_spec_parse(a, (const char *)data, size, &spec, &err);

	check_error(r, &err);
	if (r < 0)
		return 0;
	r = plan_make(a, &spec, NULL, &plan, &err);
	check_error(r, &err);
	if (r >= 0)
		check_plan(&plan);
	return 0;
}
