/* A time that parses, formatted, parses to the same instant. */
#include <stdlib.h>

#include "base/clock.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xstrndup((const char *)data, size);
	char formatted[CLOCK_RFC3339_SIZE];
	int64_t ns, again;

	if (clock_parse_rfc3339(text, &ns) < 0)
		return 0;
	clock_format_rfc3339(ns, formatted);
	if (clock_parse_rfc3339(formatted, &again) < 0 || again != ns)
		abort();
	clock_format_rfc3339_fixed(ns, formatted);
	if (clock_parse_rfc3339(formatted, &again) < 0 || again != ns)
		abort();
	return 0;
}
