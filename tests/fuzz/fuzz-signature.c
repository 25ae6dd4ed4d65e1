/* What stands for signatures in a registry: manifests of them, indexes of referrers, payloads. */
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "registry/cosign.h"
#include "registry/signature.h"

#include "fuzz.h"

static void manifest(const char *text, size_t size)
{
	autoarena struct arena *a = arena_new();
	struct cosign_found found = {0};

	cosign_read_manifest(a, text, size, &found);
	if (found.n > COSIGN_MAX)
		abort();
	for (size_t i = 0; i < found.n; i++)
		if (!digest_is_valid(found.v[i].digest) || !found.v[i].signature ||
		    found.v[i].payload || found.v[i].size < 0 ||
		    (size_t)found.v[i].size > SIGNATURE_PAYLOAD_MAX)
			abort();
}

static void referrers(const char *text, size_t size)
{
	autoarena struct arena *a = arena_new();
	struct cosign_found found = {0};
	autostrv struct strv digests = {0};

	cosign_read_referrers(a, text, size, &digests, &found);
	if (digests.n > COSIGN_REFERRERS_MAX || found.n > 0)
		abort();
	for (size_t i = 0; i < digests.n; i++)
		if (!digest_is_valid(digests.v[i]))
			abort();
}

static void payload(const char *text, size_t size)
{
	autoarena struct arena *a = arena_new();
	autoimage_ref struct image_ref ref = {0};
	struct signature_claim claim = {0};
	autoerror struct error err = {0};
	autofree char *name = NULL;

	if (signature_claim_parse(a, text, size, &claim, &err) < 0) {
		if (claim.digest || !error_msg(&err)[0])
			abort();
		return;
	}
	if (!digest_is_valid(claim.digest) || !claim.reference)
		abort();
	if (image_ref_parse(claim.reference, &ref, NULL) < 0)
		return;
	name = image_ref_name(&ref); /* what names itself fits, unless its digest says otherwise */
	if (!signature_claim_fits(&claim, &ref, name, ref.digest ? ref.digest : claim.digest))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	manifest((const char *)data, size);
	referrers((const char *)data, size);
	payload((const char *)data, size);
	return 0;
}
