/* Rules by prefix, and what satisfies them. */
#include "registry/trust.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/str.h"
#include "registry/signature.h"

#define SETTING        "signature-policy"
#define PREFIX_DEFAULT "default"
#define IDENTITY_ANY   "any"

enum trust_kind { TRUST_ACCEPT, TRUST_REJECT, TRUST_SIGNED };

struct trust_rule {
	const char *prefix;
	enum trust_kind kind;
	const char *identity;                     /* in the place of the prefix; NULL: the prefix */
	struct evp_pkey_st *keys[TRUST_KEYS_MAX]; /* owned */
	size_t n_keys;
};

struct trust_policy {
	struct arena *arena; /* owned: strings and rules */
	struct trust_rule *rules;
	size_t n;
};

static const struct trust_rule accept_all = {.prefix = PREFIX_DEFAULT, .kind = TRUST_ACCEPT};

/* ---- reading ---- */

static bool is_prefix(const char *s)
{
	size_t domain = strcspn(s, "/"), len = strlen(s);
	autofree char *head = xstrndup(s, domain), *whole = xasprintf("%s/x/x", s), *back = NULL;
	autoimage_ref struct image_ref ref = {0};

	if (len == 0 || s[len - 1] == '/' || (!strpbrk(head, ".:") && !str_eq(head, "localhost")))
		return false;
	if (image_ref_parse(whole, &ref, NULL) < 0)
		return false;
	back = image_ref_name(&ref); /* "index.docker.io" is not what images are named by */
	return str_eq(back, whole);
}

static int read_key(struct trust_rule *rule, const char *path, struct error *err)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r;

	if (path[0] != '/')
		return error_set(err, ERROR_INVALID, 0, "key '%s': the path is not absolute", path);
	r = file_read(AT_FDCWD, path, SIGNATURE_KEY_MAX, &text, &len, err);
	if (r < 0)
		return error_wrap(err, r, "key");
	r = signature_key_parse(text, len, &rule->keys[rule->n_keys], err);
	if (r < 0)
		return error_wrap(err, r, "key '%s'", path);
	rule->n_keys++;
	return 0;
}

static int read_keys(struct trust_rule *rule, const struct json *paths, struct error *err)
{
	size_t n = json_type(paths) == JSON_ARRAY ? json_count(paths) : 0;
	int r = 0;

	if (n == 0 || n > TRUST_KEYS_MAX)
		return error_set(err, ERROR_INVALID, 0,
				 "'signed' is an array of 1 to %d files with public keys",
				 TRUST_KEYS_MAX);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const char *path = json_string(json_at(paths, i));

		r = read_key(rule, path ? path : "", err);
	}
	return r;
}

static int read_signed(struct arena *a, struct trust_rule *rule, const struct json *v,
		       struct error *err)
{
	bool is_default = str_eq(rule->prefix, PREFIX_DEFAULT);
	const struct json *m;
	const char *key;

	json_object_foreach(key, m, v) {
		const char *s = json_string(m);

		if (str_eq(key, "signed"))
			continue;
		if (!str_eq(key, "identity"))
			return error_set(err, ERROR_INVALID, 0, "'%s' is not known", key);
		if (!s || (!str_eq(s, IDENTITY_ANY) && (is_default || !is_prefix(s))))
			return error_set(
				err, ERROR_INVALID, 0, "'identity' is \"any\"%s",
				is_default
					? ""
					: ", or what stands for the rule's prefix in signatures");
		rule->identity = arena_strdup(a, s);
	}
	rule->kind = TRUST_SIGNED;
	return read_keys(rule, json_get(v, "signed"), err);
}

static int read_rule(struct arena *a, struct trust_rule *rule, const struct json *v,
		     struct error *err)
{
	if (!str_eq(rule->prefix, PREFIX_DEFAULT) && !is_prefix(rule->prefix))
		return error_set(err, ERROR_INVALID, 0,
				 "this is neither \"default\" nor a registry, nor the beginning of "
				 "a repository's full name (\"docker.io/library\")");
	if (json_type(v) == JSON_OBJECT)
		return read_signed(a, rule, v, err);
	if (str_eq(json_string(v), "accept"))
		rule->kind = TRUST_ACCEPT;
	else if (str_eq(json_string(v), "reject"))
		rule->kind = TRUST_REJECT;
	else
		return error_set(err, ERROR_INVALID, 0,
				 "a rule is \"accept\", \"reject\" or {\"signed\": [...]}");
	return 0;
}

int trust_policy_new(const struct json *doc, struct trust_policy **ret, struct error *err)
{
	autotrust_policy struct trust_policy *p = xnew0(struct trust_policy);
	size_t n = json_count(doc);

	p->arena = arena_new();
	if (n > TRUST_RULES_MAX)
		return error_set(err, ERROR_INVALID, 0, "more than %d rules", TRUST_RULES_MAX);
	p->rules = arena_new0n(p->arena, struct trust_rule, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct trust_rule *rule = &p->rules[p->n++];
		int r;

		rule->prefix = arena_strdup(p->arena, json_key_at(doc, i));
		r = read_rule(p->arena, rule, json_value_at(doc, i), err);
		if (r < 0)
			return error_wrap(err, r, "'%s'", rule->prefix);
	}
	*ret = TAKE_PTR(p);
	return 0;
}

struct trust_policy *trust_policy_free(struct trust_policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < p->rules[i].n_keys; k++)
			(void)signature_key_free(p->rules[i].keys[k]);
	(void)arena_free(p->arena);
	free(p);
	return NULL;
}

/* ---- finding ---- */

/* Hosts are the same in capitals; paths are not. */
static bool covers(const char *prefix, const char *name)
{
	size_t len = strlen(prefix), domain = strcspn(prefix, "/");

	return strncasecmp(prefix, name, domain) == 0 &&
	       strncmp(prefix + domain, name + domain, len - domain) == 0 &&
	       (name[len] == '\0' || name[len] == '/');
}

const struct trust_rule *trust_policy_find(const struct trust_policy *p,
					   const struct image_ref *ref)
{
	const struct trust_rule *best = &accept_all;
	autofree char *name = image_ref_name(ref);
	size_t best_len = 0;

	for (size_t i = 0; p && i < p->n; i++) {
		const struct trust_rule *rule = &p->rules[i];
		size_t len = strlen(rule->prefix);

		if (str_eq(rule->prefix, PREFIX_DEFAULT)) {
			best = best_len == 0 ? rule : best;
		} else if (len > best_len && covers(rule->prefix, name)) {
			best = rule;
			best_len = len;
		}
	}
	return best;
}

const char *trust_rule_prefix(const struct trust_rule *rule)
{
	return rule->prefix;
}

bool trust_rule_wants_signature(const struct trust_rule *rule)
{
	return rule->kind == TRUST_SIGNED;
}

/* ---- deciding ---- */

static int refuse(const struct trust_rule *rule, const struct image_ref *ref, const char *reason,
		  struct error *err)
{
	autofree char *name = image_ref_familiar(ref);

	return error_set(err, ERROR_FORBIDDEN, 0, "pull of '%s' is refused by " SETTING " '%s': %s",
			 name, rule->prefix, reason);
}

int trust_check_rule(const struct trust_rule *rule, const struct image_ref *ref, struct error *err)
{
	return rule->kind == TRUST_REJECT ? refuse(rule, ref, "reject", err) : 0;
}

/* How near a signature came to being good; the nearest is told. */
enum verdict {
	VERDICT_NONE,
	VERDICT_MALFORMED,
	VERDICT_WRONG_KEY,
	VERDICT_NO_PAYLOAD, /* from here on one of the keys has signed it */
	VERDICT_OTHER_DIGEST,
	VERDICT_OTHER_NAME,
	VERDICT_GOOD,
};

struct trial {
	const struct trust_rule *rule;
	const struct image_ref *ref;
	struct arena *arena; /* owned by the caller */
	const char *digest;
	enum verdict best;
	const char *reason; /* of the best */
};

static enum verdict tell(struct trial *t, enum verdict v, const char *reason)
{
	if (v > t->best) {
		t->best = v;
		t->reason = reason;
	}
	return v;
}

static bool is_signed_by_rule(const struct trust_rule *rule, const struct signature *s)
{
	for (size_t i = 0; i < rule->n_keys; i++)
		if (signature_is_by(s, rule->keys[i]))
			return true;
	return false;
}

/* The repository that a signature has to name; NULL: any will do. */
static char *wanted_name(const struct trust_rule *rule, const struct image_ref *ref)
{
	autofree char *name = image_ref_name(ref);

	if (!rule->identity)
		return TAKE_PTR(name);
	if (str_eq(rule->identity, IDENTITY_ANY))
		return NULL;
	return xasprintf("%s%s", rule->identity, name + strlen(rule->prefix));
}

static enum verdict judge_claim(struct trial *t, const struct signature *s)
{
	autofree char *name = wanted_name(t->rule, t->ref);
	autoerror struct error why = {0};
	struct signature_claim claim = {0};

	if (signature_claim_parse(t->arena, s->payload, s->payload_len, &claim, &why) < 0)
		return tell(t, VERDICT_NO_PAYLOAD,
			    arena_printf(t->arena, "a signature of %s has no such payload: %s",
					 t->digest, error_msg(&why)));
	if (!str_eq(claim.digest, t->digest))
		return tell(t, VERDICT_OTHER_DIGEST,
			    arena_printf(t->arena, "what is signed is %s, not %s", claim.digest,
					 t->digest));
	if (name && !signature_claim_fits(&claim, t->ref, name, t->digest))
		return tell(
			t, VERDICT_OTHER_NAME,
			arena_printf(t->arena, "%s is signed as '%s'", t->digest, claim.reference));
	return tell(t, VERDICT_GOOD, "");
}

static enum verdict judge(struct trial *t, const struct json *v)
{
	const struct json *payload = json_get(v, "payload"), *signature = json_get(v, "signature");
	autostrbuf struct strbuf text = STRBUF_INIT(SIGNATURE_PAYLOAD_MAX);
	autostrbuf struct strbuf bytes = STRBUF_INIT(SIGNATURE_MAX);
	struct signature s;

	if (!json_string(payload) || !json_string(signature) ||
	    base64_decode(json_string(payload), json_string_len(payload), &text) < 0 ||
	    base64_decode(json_string(signature), json_string_len(signature), &bytes) < 0 ||
	    strbuf_error(&text) < 0 || strbuf_error(&bytes) < 0 || bytes.len == 0)
		return tell(t, VERDICT_MALFORMED,
			    arena_printf(t->arena,
					 "a signature of %s is malformed: it is no "
					 "base64, or too long",
					 t->digest));
	s = (struct signature){
		.payload = text.s, .payload_len = text.len, .bytes = bytes.s, .len = bytes.len};
	if (!is_signed_by_rule(t->rule, &s))
		return tell(t, VERDICT_WRONG_KEY,
			    arena_printf(t->arena, "no signature of %s is by a key of this rule",
					 t->digest));
	return judge_claim(t, &s);
}

static bool is_any_good(struct trial *t, const struct trust_evidence *e)
{
	t->digest = e->digest;
	for (size_t i = 0; i < json_count(e->signatures) && i < TRUST_SIGNATURES_MAX; i++)
		if (judge(t, json_at(e->signatures, i)) == VERDICT_GOOD)
			return true;
	if (e->malformed)
		(void)tell(t, VERDICT_MALFORMED,
			   arena_printf(t->arena, "a signature of %s is malformed: %s", e->digest,
					e->malformed));
	return false;
}

int trust_check_signatures(const struct trust_rule *rule, const struct image_ref *ref,
			   const struct trust_evidence *evidence, size_t n, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct trial t = {.rule = rule, .ref = ref, .arena = a};

	for (size_t i = 0; i < n; i++)
		if (is_any_good(&t, &evidence[i]))
			return 0;
	if (!t.reason)
		t.reason = arena_printf(a, "%s has no signature", n ? evidence[0].digest : "it");
	return refuse(rule, ref, t.reason, err);
}
