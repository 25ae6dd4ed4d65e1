/* Image names, configs, manifests and Dockerfile changes: what is accepted survives a round trip.
 *
 * The first byte chooses the parser. */
#include <stdlib.h>
#include <string.h>

#include "oci/image_changes.h"
#include "oci/image_ref.h"
#include "oci/image_spec.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

static void fuzz_ref(const char *s)
{
	autoimage_ref struct image_ref ref = {0}, again = {0};
	autofree char *full = NULL, *familiar = NULL, *full2 = NULL;

	if (image_ref_parse(s, &ref, NULL) < 0)
		return;
	full = image_ref_format(&ref);
	familiar = image_ref_familiar(&ref);
	if (image_ref_parse(full, &again, NULL) < 0)
		abort();
	full2 = image_ref_format(&again);
	if (strcmp(full, full2) != 0 || strlen(familiar) > strlen(full))
		abort();
}

static void fuzz_spec(struct arena *a, const char *text, size_t len)
{
	autostrbuf struct strbuf first = STRBUF_INIT(MAX_OUTPUT), second = STRBUF_INIT(MAX_OUTPUT);
	const struct image_spec *spec;

	if (image_spec_parse(a, text, len, &spec, NULL) < 0)
		return;
	image_spec_write(spec, &first);
	if (image_spec_parse(a, first.s, first.len, &spec, NULL) < 0)
		abort();
	image_spec_write(spec, &second);
	if (strcmp(first.s, second.s) != 0)
		abort();
}

static void fuzz_changes(struct arena *a, const char *text)
{
	autostrbuf struct strbuf out = STRBUF_INIT(MAX_OUTPUT);
	const char *const changes[] = {text, NULL};
	struct image_config config = {0};
	struct json_writer w;

	if (image_changes_apply(a, &config, changes, NULL) < 0)
		return;
	json_writer_init(&w, &out);
	image_config_write(&w, &config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	const struct image_manifest *m;
	const struct image_index *x;
	struct json_objects list;
	autofree char *text = NULL;

	if (size == 0)
		return 0;
	text = xcalloc(1, size); /* the rest, and a NUL */
	memcpy(text, data + 1, size - 1);
	switch (data[0] % 6) {
	case 0:
		fuzz_ref(text);
		break;
	case 1:
		fuzz_spec(a, text, size - 1);
		break;
	case 2:
		fuzz_changes(a, text);
		break;
	case 3:
		(void)image_manifest_parse(a, text, size - 1, &m, NULL);
		break;
	case 4:
		(void)image_index_parse(a, text, size - 1, &x, NULL);
		break;
	default:
		(void)image_archive_parse(a, text, size - 1, &list, NULL);
	}
	return 0;
}
