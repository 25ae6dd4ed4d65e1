/* What registries send beside documents and layers: challenges and refusals. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registry/challenge.h"
#include "registry/failure.h"

#include "fuzz.h"

static void challenge(const char *text)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct challenges c = {0};

	if (challenges_parse(a, text, &c, &err) < 0) {
		if (c.n != 0 || !error_msg(&err)[0])
			abort();
		return;
	}
	for (size_t i = 0; i < c.n; i++) {
		if (!c.v[i].scheme[0] || !challenges_find(&c, c.v[i].scheme))
			abort();
		for (size_t k = 0; k < c.v[i].n_params; k++)
			if (!challenge_get(&c.v[i], c.v[i].params[k].name))
				abort();
	}
}

static void refusal(const uint8_t *data, size_t size, long status)
{
	autotransfer_response struct transfer_response answer = {.status = status};
	struct session_failure failure = {0};
	autoerror struct error err = {0};

	strbuf_init(&answer.body, 1 << 20);
	strbuf_add(&answer.body, data, size);
	if (failure_of_answer(&answer, "http://x/", &failure, &err) >= 0 || !error_msg(&err)[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xcalloc(1, size + 1);

	memcpy(text, data, size);
	challenge(text);
	refusal(data, size, size % 2 ? 401 : 429);
	return 0;
}
