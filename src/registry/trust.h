/* registry/trust.h - the policy of signatures: what may be pulled from where.
 *
 *     {"default": "accept",                                     without it too
 *      "docker.io": "reject",
 *      "docker.io/library": "accept",
 *      "registry.example:5000/team": {"signed": ["/etc/vessel/team.pem", ...],
 *                                     "identity": "upstream.example/team"}}
 *
 * A key is a registry or the beginning of a repository's full name, ending at a slash; the longest one
 * counts.  docs/decisions tells why it is so.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "oci/image_ref.h"

#define TRUST_RULES_MAX      256
#define TRUST_KEYS_MAX       16 /* of a rule */
#define TRUST_SIGNATURES_MAX 64 /* of a digest; more are not looked at */

struct trust_policy; /* immutable */

/* Reads the key files.  `doc` is not kept.  ERROR_INVALID names the rule. */
int trust_policy_new(const struct json *doc, struct trust_policy **ret, struct error *err);
struct trust_policy *trust_policy_free(struct trust_policy *p); /* accepts NULL */
DEFINE_CLEANUP(struct trust_policy, trust_policy_free);
#define autotrust_policy __attribute__((cleanup(trust_policy_freep_)))

struct trust_rule; /* belongs to its policy */

/* Never NULL; p may be NULL, which accepts all. */
const struct trust_rule *trust_policy_find(const struct trust_policy *p,
					   const struct image_ref *ref);
const char *trust_rule_prefix(const struct trust_rule *rule); /* or "default" */
bool trust_rule_wants_signature(const struct trust_rule *rule);

/* ERROR_FORBIDDEN, if that is the rule, before anybody is asked. */
int trust_check_rule(const struct trust_rule *rule, const struct image_ref *ref, struct error *err);

/* What there is of one digest's signatures.  `signatures`: an array of {payload, signature}, both in base64;
 * `malformed`: why others could not be had, or NULL. */
struct trust_evidence {
	const char *digest;
	const struct json *signatures;
	const char *malformed;
};
/* Does one of them satisfy the rule?  ERROR_FORBIDDEN names the rule, the image, and what comes closest:
 * documents are tried in turn, an index before its manifest. */
int trust_check_signatures(const struct trust_rule *rule, const struct image_ref *ref,
			   const struct trust_evidence *evidence, size_t n, struct error *err);
