/* CDI specifications: YAML becomes JSON that parses, or an error; what is accepted has valid paths. */
#include <stdlib.h>
#include <string.h>

#include "engine/cdi.h"
#include "engine/cdi_yaml.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autostrbuf struct strbuf out = STRBUF_INIT((size_t)4 << 20);
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	struct cdi_spec *spec;

	if (cdi_yaml_to_json((const char *)data, size, &out, NULL) < 0)
		return 0;
	if (json_parse(a, out.s, out.len, &doc, NULL) < 0)
		return 0; /* a key that comes twice, a string that is no UTF-8 */
	if (cdi_spec_parse(a, doc, &spec, NULL) < 0)
		return 0;
	for (size_t i = 0; i < spec->devices.n; i++) {
		const struct cdi_device *d = (const struct cdi_device *)spec->devices.v + i;
		const struct cdi_node *nodes = d->edits.nodes.v;

		for (size_t k = 0; k < d->edits.nodes.n; k++)
			if (nodes[k].path[0] != '/')
				abort();
	}
	return 0;
}
