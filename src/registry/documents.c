/* Documents of a registry.
 *
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
 */
#include "registry/documents.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/str.h"
#include "oci/image_spec.h"
#include "registry/session_priv.h"

#define TAGS_PAGE_MAX ((size_t)4 << 20)
#define TAGS_MAX      100000
#define TYPE_SCHEMA1  "application/vnd.docker.distribution.manifest.v1"

static const char accept_manifests[] =
	"Accept: " IMAGE_TYPE_DOCKER_MANIFEST ", " IMAGE_TYPE_DOCKER_INDEX
	", " IMAGE_TYPE_OCI_MANIFEST ", " IMAGE_TYPE_OCI_INDEX
	", application/vnd.docker.distribution.manifest.v1+prettyjws";

/* ---- one document ---- */

static const char *content_type(struct arena *a, const struct transfer_response *answer)
{
	const char *type = transfer_header(answer, "content-type", 0);

	return type ? arena_strndup(a, type, strcspn(type, "; \t")) : "";
}

static int check_document(const struct document *d, const char *reference, struct error *err)
{
	if (digest_is_valid(reference) && !str_eq(reference, d->digest))
		return error_set(err, ERROR_INVALID, 0,
				 "manifest verification failed for digest %s", reference);
	if (memchr(d->text, '\0', d->len) || !utf8_valid(d->text, d->len))
		return error_set(err, ERROR_INVALID, 0, "manifest '%s' is no JSON", d->digest);
	return 0;
}

static int fetch(struct session *s, const char *path, const char *accept, struct arena *a,
		 struct document *ret, struct session_failure *failure, struct error *err)
{
	autotransfer_response struct transfer_response answer = {0};
	static const long ok[] = {200, 0};
	autosession_request struct session_request req = {
		.http = {.method = "GET", .url = path, .max_body = IMAGE_MAX_CONFIG}, .accept = ok};
	int r;

	if (accept)
		strv_add(&req.headers, accept);
	r = session_try(s, &req, &answer, failure, err);
	if (r < 0)
		return r;
	ret->text = arena_strndup(a, answer.body.s, answer.body.len);
	ret->len = answer.body.len;
	ret->type = content_type(a, &answer);
	sha256_of(answer.body.s, answer.body.len, ret->digest);
	return 0;
}

/* What it is: the header says so, or the document itself. */
static int find_type(struct arena *a, struct document *d, struct error *err)
{
	const struct json *doc = NULL;
	const char *inner;
	int r = json_parse(a, d->text, d->len, &doc, err);

	if (r < 0)
		return error_wrap(err, r, "manifest '%s'", d->digest);
	inner = json_get_string(doc, "mediaType");
	if (!image_type_is_index(d->type) && !image_type_is_manifest(d->type) &&
	    !str_has_prefix(d->type, TYPE_SCHEMA1)) {
		if (inner)
			d->type = arena_strdup(a, inner);
		else if (json_get_int(doc, "schemaVersion") == 1)
			d->type = TYPE_SCHEMA1;
		else if (json_get(doc, "manifests"))
			d->type = IMAGE_TYPE_OCI_INDEX;
		else if (json_get(doc, "layers"))
			d->type = IMAGE_TYPE_OCI_MANIFEST;
	} else if (inner && !str_eq(inner, d->type)) {
		return error_set(err, ERROR_INVALID, 0,
				 "mediaType in manifest should be '%s' not '%s'", d->type, inner);
	}
	return 0;
}

static int fetch_manifest(struct session *s, const char *reference, struct arena *a,
			  struct document *ret, struct session_failure *failure, struct error *err)
{
	const char *path = arena_printf(a, "/v2/%s/manifests/%s", session_repository(s), reference);
	int r = fetch(s, path, accept_manifests, a, ret, failure, err);

	if (r >= 0)
		r = check_document(ret, reference, err);
	if (r >= 0)
		r = find_type(a, ret, err);
	if (r >= 0 && str_has_prefix(ret->type, TYPE_SCHEMA1))
		r = error_set(
			err, ERROR_INVALID, 0,
			"Docker Image Format v1 and Docker Image manifest version 2, schema 1 "
			"support has been removed. Suggest the author of \"%s\" to upgrade the "
			"image to the OCI Format or Docker Image manifest v2, schema 2. More "
			"information at https://docs.docker.com/go/deprecated-image-specs/",
			session_repository(s));
	return r;
}

/* ---- choosing ---- */

/* "v8" and none are the same for arm64; arm's variants are ordered. */
static int variant_score(const char *arch, const char *wanted, const char *offered)
{
	wanted = wanted ? wanted : "";
	offered = offered ? offered : "";
	if (str_eq(arch, "arm64")) {
		wanted = str_eq(wanted, "v8") ? "" : wanted;
		offered = str_eq(offered, "v8") ? "" : offered;
	}
	if (str_eq(wanted, offered))
		return 100;
	if (!offered[0])
		return 1;
	if (offered[0] == 'v' && wanted[0] == 'v' && offered[1] < wanted[1])
		return 2 + (offered[1] - '0'); /* an older one runs too */
	return str_eq(arch, "amd64") && !wanted[0] ? 0 : -1;
}

static int score(const struct image_descriptor *d, const struct documents_args *args)
{
	const struct image_platform *p = d->platform;

	if (image_annotation(&d->annotations, "vnd.docker.reference.type"))
		return -1; /* an attestation */
	if (!image_type_is_manifest(d->media_type) && !image_type_is_index(d->media_type))
		return -1;
	if (!p || (!p->os && !p->architecture))
		return 0; /* not said: may be */
	if (!str_eq(p->os, args->os) || !str_eq(p->architecture, args->architecture))
		return -1;
	return variant_score(args->architecture, args->variant, p->variant);
}

static int choose(const struct image_index *index, const struct documents_args *args,
		  const struct image_descriptor **ret, struct error *err)
{
	const struct image_descriptor *v = index->manifests.v;
	int best = -1;

	for (size_t i = 0; i < index->manifests.n; i++) {
		int n = score(&v[i], args);

		if (n > best) {
			best = n;
			*ret = &v[i];
		}
	}
	if (best < 0)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "no matching manifest for %s/%s%s%s in the manifest list entries",
				 args->os, args->architecture, args->variant ? "/" : "",
				 args->variant ? args->variant : "");
	return 0;
}

static int descend(struct session *s, const struct documents_args *args, struct arena *a,
		   struct documents *docs, struct session_failure *failure, struct error *err)
{
	const struct document *at = &docs->top;

	for (unsigned depth = 0; image_type_is_index(at->type); depth++) {
		const struct image_descriptor *chosen = NULL;
		const struct image_index *index;
		int r;

		if (depth > 0 && docs->n_inner == DOCUMENTS_INNER_MAX)
			return error_set(err, ERROR_INVALID, 0, "indexes in indexes in indexes");
		if (depth > 0) {
			docs->inner[docs->n_inner] = docs->manifest;
			at = &docs->inner[docs->n_inner++];
		}
		r = image_index_parse(a, at->text, at->len, &index, err);
		if (r >= 0)
			r = choose(index, args, &chosen, err);
		if (r >= 0)
			r = fetch_manifest(s, chosen->digest, a, &docs->manifest, failure, err);
		if (r < 0)
			return r;
		at = &docs->manifest;
	}
	return 0;
}

static bool is_image_config(const char *type)
{
	return str_eq(type, IMAGE_TYPE_OCI_CONFIG) || str_eq(type, IMAGE_TYPE_DOCKER_CONFIG);
}

static int check_layers(const struct image_manifest *m, struct error *err)
{
	const struct image_descriptor *v = m->layers.v;

	for (size_t i = 0; i < m->layers.n; i++) {
		const char *type = v[i].media_type ? v[i].media_type : "";

		if (strstr(type, ".foreign.") || strstr(type, ".nondistributable."))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "layer %s is a foreign layer (%s): those are not pulled",
					 v[i].digest, type);
	}
	return 0;
}

static int fetch_config(struct session *s, const struct documents_args *args, struct arena *a,
			struct documents *docs, struct session_failure *failure, struct error *err)
{
	const struct document *d = docs->manifest.text ? &docs->manifest : &docs->top;
	const struct image_manifest *m;
	int r;

	if (!image_type_is_manifest(d->type))
		return args->no_choice ? 0
				       : error_set(err, ERROR_INVALID, 0,
						   "unsupported manifest media type '%s'", d->type);
	r = image_manifest_parse(a, d->text, d->len, &m, err);
	if (r < 0)
		return error_wrap(err, r, "manifest '%s'", d->digest);
	if (!is_image_config(m->config.media_type))
		return args->no_choice
			       ? 0
			       : error_set(err, ERROR_INVALID, 0,
					   "'%s' is no container image: its config is of type '%s'",
					   args->reference,
					   m->config.media_type ? m->config.media_type : "");
	r = check_layers(m, err);
	if (r < 0 && !args->no_choice)
		return r;
	r = fetch(s, arena_printf(a, "/v2/%s/blobs/%s", session_repository(s), m->config.digest),
		  NULL, a, &docs->config, failure, err);
	if (r >= 0 && !str_eq(docs->config.digest, m->config.digest))
		r = error_set(err, ERROR_INVALID, 0,
			      "image config verification failed for digest %s", m->config.digest);
	return r;
}

/* ---- endpoints ---- */

/* Once a host has answered by TLS, plain HTTP is not tried any more. */
static bool is_pointless(const struct session *s, size_t i)
{
	const char *host = strstr(s->endpoints[i].url, "://");

	if (!str_has_prefix(s->endpoints[i].url, "http://") || !host)
		return false;
	for (size_t k = 0; k < i; k++) {
		const char *other = strstr(s->endpoints[k].url, "://");

		if (s->endpoints[k].is_known && other && str_eq(other, host))
			return true;
	}
	return false;
}

typedef int (*endpoint_fn)(struct session *s, void *data, struct error *err);

static int each_endpoint(struct session *s, struct session_failure *failure, endpoint_fn fn,
			 void *data, struct error *err)
{
	int r = error_set(err, ERROR_INTERNAL, 0, "no endpoint was given");

	for (size_t i = 0; i < s->n_endpoints; i++) {
		autoerror struct error why = {0};

		if (is_pointless(s, i))
			continue;
		*failure = (struct session_failure){.retry_after_s = -1};
		r = session_use(s, i, &why);
		if (r >= 0 && fn)
			r = fn(s, data, &why);
		if (r >= 0) {
			error_done(err);
			*err = (struct error){0};
			return r;
		}
		error_done(err);
		*err = (struct error){0};
		(void)error_move(err, &why, r);
	}
	return r;
}

int documents_connect(struct session *s, struct error *err)
{
	struct session_failure ignored;

	return each_endpoint(s, &ignored, NULL, NULL, err);
}

struct resolve {
	const struct documents_args *args;
	struct arena *a;
	struct documents *ret;
	struct session_failure *failure;
};

static int resolve_at(struct session *s, void *data, struct error *err)
{
	struct resolve *q = data;
	struct documents docs = {0};
	int r = fetch_manifest(s, q->args->reference, q->a, &docs.top, q->failure, err);

	if (r >= 0 && !q->args->no_choice)
		r = descend(s, q->args, q->a, &docs, q->failure, err);
	if (r >= 0)
		r = fetch_config(s, q->args, q->a, &docs, q->failure, err);
	if (r >= 0)
		*q->ret = docs;
	return r;
}

int documents_resolve(struct session *s, const struct documents_args *args, struct arena *a,
		      struct documents *ret, struct session_failure *failure, struct error *err)
{
	struct resolve q = {.args = args, .a = a, .ret = ret, .failure = failure};

	return each_endpoint(s, failure, resolve_at, &q, err);
}

/* ---- tags ---- */

/* Link: </v2/x/tags/list?n=100&last=b>; rel="next" (RFC 5988); NULL: this was the last page. */
static char *next_page(const struct session *s, const struct transfer_response *answer)
{
	const char *link = transfer_header(answer, "link", 0), *end;

	if (!link || *link != '<' || !strstr(link, "rel=\"next\""))
		return NULL;
	end = strchr(link, '>');
	if (!end)
		return NULL;
	if (link[1] == '/')
		return xstrndup(link + 1, (size_t)(end - link) - 1);
	if (strncasecmp(link + 1, s->endpoint->url, strlen(s->endpoint->url)) == 0)
		return xstrndup(link + 1, (size_t)(end - link) - 1);
	return NULL;
}

static int read_page(const struct transfer_response *answer, struct strv *ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *doc = NULL, *tags;
	int r = json_parse(a, answer->body.s, answer->body.len, &doc, err);

	if (r < 0)
		return error_wrap(err, r, "list of tags");
	tags = json_get(doc, "tags");
	for (size_t i = 0; i < json_count(tags); i++) {
		const char *tag = json_string(json_at(tags, i));

		if (!tag || ret->n >= TAGS_MAX)
			return error_set(err, ERROR_INVALID, 0, "the list of tags is none");
		strv_add(ret, tag);
	}
	return 0;
}

struct tags {
	struct strv *ret;
	struct session_failure *failure;
};

static int tags_at(struct session *s, void *data, struct error *err)
{
	struct tags *t = data;
	autofree char *path = xasprintf("/v2/%s/tags/list", session_repository(s));

	while (path) {
		autotransfer_response struct transfer_response answer = {0};
		static const long ok[] = {200, 0};
		autosession_request struct session_request req = {
			.http = {.method = "GET", .url = path, .max_body = TAGS_PAGE_MAX},
			.accept = ok};
		size_t before = t->ret->n;
		char *next;
		int r = session_try(s, &req, &answer, t->failure, err);

		if (r >= 0)
			r = read_page(&answer, t->ret, err);
		if (r < 0)
			return r;
		next = t->ret->n > before ? next_page(s, &answer) : NULL;
		free(path);
		path = next;
	}
	return 0;
}

int documents_tags(struct session *s, struct strv *ret, struct session_failure *failure,
		   struct error *err)
{
	struct tags t = {.ret = ret, .failure = failure};

	return each_endpoint(s, failure, tags_at, &t, err);
}

/* ---- search ---- */

int documents_search(struct session *s, const char *query, struct arena *a, const char **ret,
		     struct error *err)
{
	autofree char *authorization = session_basic(s);
	int r = error_set(err, ERROR_INTERNAL, 0, "no endpoint was given");

	for (size_t i = 0; i < s->n_endpoints; i++) {
		autofree char *url = xasprintf("%s/v1/search?%s", s->endpoints[i].url, query);
		autotransfer_response struct transfer_response answer = {0};
		autostrv struct strv headers = {0};
		const struct transfer_request req = {.method = "GET",
						     .url = url,
						     .tls = &s->endpoints[i].tls,
						     .headers = &headers,
						     .max_body = IMAGE_MAX_CONFIG};

		error_done(err);
		*err = (struct error){0};
		if (authorization)
			strv_addf(&headers, "Authorization: %s", authorization);
		r = transfer_run(s->transfers, &req, &answer, err);
		if (r < 0)
			continue;
		if (answer.status != 200)
			return error_set(err, ERROR_UNAVAILABLE, 0,
					 "Unexpected status code %ld from %s", answer.status, url);
		*ret = arena_strndup(a, answer.body.s, answer.body.len);
		return 0;
	}
	return r;
}
