/* registry/cosign.h - where cosign puts signatures, in the helper: found and fetched, not judged.
 *
 *     the manifest with the tag sha256-<hex>.sig
 *     OCI 1.1's referrers of the digest (or the index with the tag sha256-<hex> in their place), of
 *     the artifact type application/vnd.dev.cosign.artifact.sig.v1+json
 * Each layer of these manifests is a payload; the signature is the layer's annotation.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "registry/session.h"

#define COSIGN_TYPE_PAYLOAD  "application/vnd.dev.cosign.simplesigning.v1+json"
#define COSIGN_TYPE_ARTIFACT "application/vnd.dev.cosign.artifact.sig.v1+json"
#define COSIGN_ANNOTATION    "dev.cosignproject.cosign/signature"

#define COSIGN_MAX           64 /* signatures of a digest; the first are taken */
#define COSIGN_REFERRERS_MAX 32 /* manifests of signatures that are looked at */

struct cosign_signature {
	const char *digest;    /* of the payload */
	const char *signature; /* as it stands in the annotation */
	int64_t size;          /* of the payload, as it is said */
	const void *payload;   /* NULL: not fetched yet */
	size_t len;
};

struct cosign_found {
	struct cosign_signature *v;
	size_t n, cap;
	const char *malformed; /* why some are not among them; NULL: all are */
};

/* Adds what a manifest of signatures lists; text without a NUL in it. */
void cosign_read_manifest(struct arena *a, const char *text, size_t len, struct cosign_found *ret);
/* Adds the digests of the manifests of signatures that an index of referrers lists; at most `max`. */
void cosign_read_referrers(struct arena *a, const char *text, size_t len, struct strv *ret,
			   struct cosign_found *found);

/* From the endpoint in use.  Everything lives in `a`.  What there is not is no error. */
int cosign_fetch(struct session *s, const char *digest, struct arena *a, struct cosign_found *ret,
		 struct session_failure *failure, struct error *err);
