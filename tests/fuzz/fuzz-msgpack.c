/* What a fluentd server answers. */
#include <stdlib.h>

#include "fuzz.h"
#include "logger/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *value;
	size_t len, value_len;
	int whole = msgpack_skip(data, size, &len);

	if (whole > 0 && len > size)
		abort();
	if (msgpack_find(data, size, "ack", &value, &value_len) &&
	    (value < (const char *)data || value + value_len > (const char *)data + size))
		abort();
	return 0;
}
