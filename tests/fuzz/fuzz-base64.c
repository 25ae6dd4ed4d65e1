/* What decodes, encoded, decodes to the same bytes; any bytes survive encoding. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

static void round_trip(const void *data, size_t size)
{
	autostrbuf struct strbuf text = STRBUF_INIT(MAX_OUTPUT), back = STRBUF_INIT(MAX_OUTPUT);

	base64_encode(data, size, &text);
	if (base64_decode(text.s, text.len, &back) < 0 || back.len != size ||
	    (size > 0 && memcmp(back.s, data, size) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autostrbuf struct strbuf plain = STRBUF_INIT(MAX_OUTPUT);

	round_trip(data, size);
	if (base64_decode((const char *)data, size, &plain) == 0)
		round_trip(plain.s, plain.len);
	else if (plain.len != 0)
		abort();
	return 0;
}
