/* Seccomp profiles: what compiles is a filter that the kernel's verifier would look at, and every refusal
 * has a kind and a message. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/seccomp_compile.h"
#include "linux/seccomp_priv.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	struct seccomp_header header;
	autofree char *program = NULL;
	size_t len = 0;
	int r = seccomp_compile((const char *)data, size, &program, &len, &err);

	if (r < 0) {
		if (!err.msg || (err.kind != ERROR_INVALID && err.kind != ERROR_NOT_IMPLEMENTED))
			abort();
		error_done(&err);
		return 0;
	}
	if (err.msg || len < sizeof(header))
		abort();
	memcpy(&header, program, sizeof(header));
	if (memcmp(header.magic, SECCOMP_MAGIC, sizeof(header.magic)) != 0 || header.count == 0 ||
	    header.count > SECCOMP_INSNS_MAX || header.key_len != 0 ||
	    len != sizeof(header) + header.count * sizeof(uint64_t))
		abort();
	return 0;
}
