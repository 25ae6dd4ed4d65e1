/* Signatures of a digest.
 *
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 *
 * What a stranger may have put there is passed over with a word ("malformed"), so that it does not stand in
 * the way of a signature that is good; what the registry fails at is an error.
 */
#include "registry/cosign.h"

#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/str.h"
#include "oci/image_spec.h"
#include "registry/signature.h"

#define MANIFEST_MAX     ((size_t)1 << 20) /* bytes */
#define SIGNATURE_TEXT   (2 * SIGNATURE_MAX)
#define ACCEPT_MANIFESTS "Accept: " IMAGE_TYPE_OCI_MANIFEST ", " IMAGE_TYPE_DOCKER_MANIFEST
#define ACCEPT_INDEX     "Accept: " IMAGE_TYPE_OCI_INDEX

static void note(struct cosign_found *found, const char *why)
{
	found->malformed = found->malformed ? found->malformed : why;
}

/* ---- documents ---- */

static void add(struct arena *a, const struct image_descriptor *d, struct cosign_found *ret)
{
	const char *signature = image_annotation(&d->annotations, COSIGN_ANNOTATION);

	if (!str_eq(d->media_type, COSIGN_TYPE_PAYLOAD))
		return;
	if (!signature || strlen(signature) > SIGNATURE_TEXT) {
		note(ret, "the annotation is missing or too long");
		return;
	}
	if (d->size < 0 || (uint64_t)d->size > SIGNATURE_PAYLOAD_MAX) {
		note(ret, "the payload is too long");
		return;
	}
	if (ret->n == COSIGN_MAX) {
		note(ret, "there are too many");
		return;
	}
	if (ret->n == ret->cap) {
		size_t cap = ret->cap ? 2 * ret->cap : 4;

		ret->v =
			arena_realloc(a, ret->v, ret->cap * sizeof(*ret->v), cap * sizeof(*ret->v));
		ret->cap = cap;
	}
	ret->v[ret->n++] = (struct cosign_signature){
		.digest = d->digest, .signature = signature, .size = d->size};
}

void cosign_read_manifest(struct arena *a, const char *text, size_t len, struct cosign_found *ret)
{
	const struct image_manifest *m;
	const struct image_descriptor *layers;

	if (image_manifest_parse(a, text, len, &m, NULL) < 0) {
		note(ret, "the manifest of signatures is none");
		return;
	}
	layers = m->layers.v;
	for (size_t i = 0; i < m->layers.n; i++)
		add(a, &layers[i], ret);
}

void cosign_read_referrers(struct arena *a, const char *text, size_t len, struct strv *ret,
			   struct cosign_found *found)
{
	const struct json *doc = NULL, *v;

	if (json_parse(a, text, len, &doc, NULL) < 0) {
		note(found, "the index of referrers is none");
		return;
	}
	json_array_foreach(v, json_get(doc, "manifests")) {
		const char *digest = json_get_string(v, "digest");

		if (!str_eq(json_get_string(v, "artifactType"), COSIGN_TYPE_ARTIFACT))
			continue;
		if (!digest || !digest_is_valid(digest))
			note(found, "a referrer has no digest");
		else if (ret->n == COSIGN_REFERRERS_MAX)
			note(found, "there are too many referrers");
		else
			strv_add(ret, digest);
	}
}

/* ---- requests ---- */

struct answer {
	const char *text; /* in the arena; NULL: there is no such thing */
	size_t len;
};

struct question {
	const char *path, *header;
	size_t max;
	const long *accept; /* statuses: all but 200 say that there is none */
};

static int get(struct session *s, const struct question *q, struct arena *a, struct answer *ret,
	       struct session_failure *failure, struct error *err)
{
	autotransfer_response struct transfer_response answer = {0};
	autosession_request struct session_request req = {
		.http = {.method = "GET", .url = q->path, .max_body = q->max}, .accept = q->accept};
	int r;

	if (q->header)
		strv_add(&req.headers, q->header);
	r = session_try(s, &req, &answer, failure, err);
	if (r < 0)
		return r;
	*ret = (struct answer){0};
	if (answer.status == 200) {
		ret->text = arena_strndup(a, answer.body.s, answer.body.len);
		ret->len = answer.body.len;
	}
	return 0;
}

static const long maybe[] = {200, 404, 0};

static int get_manifest(struct session *s, const char *reference, struct arena *a,
			struct cosign_found *ret, struct session_failure *failure,
			struct error *err)
{
	const struct question q = {
		.path = arena_printf(a, "/v2/%s/manifests/%s", session_repository(s), reference),
		.header = ACCEPT_MANIFESTS,
		.max = MANIFEST_MAX,
		.accept = maybe};
	char digest[DIGEST_STRING_SIZE];
	struct answer answer;
	int r = get(s, &q, a, &answer, failure, err);

	if (r < 0 || !answer.text)
		return r;
	sha256_of(answer.text, answer.len, digest);
	if (digest_is_valid(reference) && !str_eq(reference, digest))
		note(ret, "the manifest of signatures has another digest");
	else
		cosign_read_manifest(a, answer.text, answer.len, ret);
	return 0;
}

/* Registries from before OCI 1.1 answer in many ways that they do not know this. */
static const long unknown[] = {200, 400, 404, 405, 406, 501, 0};

static int get_referrers(struct session *s, const char *digest, struct arena *a, struct answer *ret,
			 struct session_failure *failure, struct error *err)
{
	struct question q = {.path = arena_printf(a,
						  "/v2/%s/referrers/%s?artifactType=application%%2F"
						  "vnd.dev.cosign.artifact.sig.v1%%2Bjson",
						  session_repository(s), digest),
			     .header = ACCEPT_INDEX,
			     .max = IMAGE_MAX_CONFIG,
			     .accept = unknown};
	int r = get(s, &q, a, ret, failure, err);

	if (r < 0 || ret->text)
		return r;
	q.path = arena_printf(a, "/v2/%s/manifests/sha256-%s", session_repository(s),
			      digest_hex(digest));
	q.accept = maybe;
	return get(s, &q, a, ret, failure, err);
}

static int get_payload(struct session *s, struct cosign_signature *signature, struct arena *a,
		       struct cosign_found *found, struct session_failure *failure,
		       struct error *err)
{
	const struct question q = {.path = arena_printf(a, "/v2/%s/blobs/%s", session_repository(s),
							signature->digest),
				   .max = SIGNATURE_PAYLOAD_MAX,
				   .accept = maybe};
	char digest[DIGEST_STRING_SIZE];
	struct answer answer;
	int r = get(s, &q, a, &answer, failure, err);

	if (r < 0)
		return r;
	sha256_of(answer.text ? answer.text : "", answer.len, digest);
	if (!answer.text) {
		note(found, "its payload is missing");
	} else if (!str_eq(digest, signature->digest)) {
		note(found, "its payload has another digest");
	} else {
		signature->payload = answer.text;
		signature->len = answer.len;
	}
	return 0;
}

int cosign_fetch(struct session *s, const char *digest, struct arena *a, struct cosign_found *ret,
		 struct session_failure *failure, struct error *err)
{
	autofree char *tag = xasprintf("sha256-%s.sig", digest_hex(digest));
	autostrv struct strv referrers = {0};
	struct cosign_found found = {0};
	struct answer index = {0};
	int r = get_manifest(s, tag, a, &found, failure, err);

	if (r >= 0)
		r = get_referrers(s, digest, a, &index, failure, err);
	if (r >= 0 && index.text)
		cosign_read_referrers(a, index.text, index.len, &referrers, &found);
	for (size_t i = 0; i < referrers.n && r >= 0; i++)
		r = get_manifest(s, referrers.v[i], a, &found, failure, err);
	for (size_t i = 0; i < found.n && r >= 0; i++)
		r = get_payload(s, &found.v[i], a, &found, failure, err);
	if (r >= 0)
		*ret = found;
	return r;
}
