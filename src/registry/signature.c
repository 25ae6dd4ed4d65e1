/* Signatures by OpenSSL's EVP.
 *
 * The order matters: the bytes of a payload are looked at by our parser only after a key has vouched for
 * them, so a registry's own bytes meet nothing here but the verification.
 */
#include "registry/signature.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/str.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

/* As cosign writes them, and as GPG's simple signing does. */
static const char *const types[] = {"cosign container image signature",
				    "atomic container signature"};

/* ---- keys ---- */

struct evp_pkey_st *signature_key_free(struct evp_pkey_st *key)
{
	EVP_PKEY_free(key);
	return NULL;
}

static bool is_curve(EVP_PKEY *key, const char *name)
{
	char group[32];

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
					      NULL) == 1 &&
	       str_eq(group, name);
}

static bool is_p384(EVP_PKEY *key)
{
	return is_curve(key, "secp384r1");
}

static bool is_usable(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA"))
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
	return EVP_PKEY_is_a(key, "ED25519") || is_curve(key, "prime256v1") || is_p384(key);
}

/* Of an encrypted file: nobody is asked. */
static int no_password(char *buf, int size, int is_writing, void *data)
{
	(void)buf;
	(void)size;
	(void)is_writing;
	(void)data;
	return -1;
}

int signature_key_parse(const char *pem, size_t len, struct evp_pkey_st **ret, struct error *err)
{
	BIO *bio = len <= SIGNATURE_KEY_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!key)
		return error_set(err, ERROR_INVALID, 0, "there is no public key in PEM");
	if (!is_usable(key)) {
		EVP_PKEY_free(key);
		return error_set(err, ERROR_INVALID, 0,
				 "the key is neither ECDSA P-256 or P-384, nor RSA of %d to %d "
				 "bits, nor Ed25519",
				 RSA_BITS_MIN, RSA_BITS_MAX);
	}
	*ret = key;
	return 0;
}

/* ---- signatures ---- */

struct scheme {
	const char *hash; /* NULL: the algorithm has its own */
	int padding;      /* of RSA; 0: none */
};

static bool verify(const struct signature *s, EVP_PKEY *key, const struct scheme *scheme)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_ctx = NULL; /* ctx has it */
	bool ok = ctx &&
		  EVP_DigestVerifyInit_ex(ctx, &key_ctx, scheme->hash, NULL, NULL, key, NULL) == 1;

	if (ok && scheme->padding)
		ok = EVP_PKEY_CTX_set_rsa_padding(key_ctx, scheme->padding) == 1;
	if (ok && scheme->padding == RSA_PKCS1_PSS_PADDING)
		ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_AUTO) == 1;
	ok = ok && EVP_DigestVerify(ctx, s->bytes, s->len, s->payload, s->payload_len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

bool signature_is_by(const struct signature *s, struct evp_pkey_st *key)
{
	static const struct scheme rsa[] = {{"SHA256", RSA_PKCS1_PADDING},
					    {"SHA256", RSA_PKCS1_PSS_PADDING}};
	static const struct scheme ecdsa[] = {{"SHA256", 0}, {"SHA384", 0}};
	static const struct scheme ed25519 = {NULL, 0};

	if (s->len == 0 || s->len > SIGNATURE_MAX || s->payload_len > SIGNATURE_PAYLOAD_MAX)
		return false;
	if (EVP_PKEY_is_a(key, "RSA"))
		return verify(s, key, &rsa[0]) || verify(s, key, &rsa[1]);
	if (EVP_PKEY_is_a(key, "EC"))
		return verify(s, key, &ecdsa[0]) || (is_p384(key) && verify(s, key, &ecdsa[1]));
	return verify(s, key, &ed25519);
}

/* ---- claims ---- */

static bool is_type(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq(type, types[i]))
			return true;
	return false;
}

int signature_claim_parse(struct arena *a, const char *payload, size_t len,
			  struct signature_claim *ret, struct error *err)
{
	const struct json *doc = NULL, *critical;
	const char *type, *digest, *reference;
	int r = len <= SIGNATURE_PAYLOAD_MAX
			? json_parse(a, payload, len, &doc, err)
			: error_set(err, ERROR_INVALID, 0, "it is longer than %zu bytes",
				    SIGNATURE_PAYLOAD_MAX);

	if (r < 0)
		return r;
	critical = json_get(doc, "critical");
	type = json_get_string(critical, "type");
	digest = json_get_string(json_get(critical, "image"), "docker-manifest-digest");
	reference = json_get_string(json_get(critical, "identity"), "docker-reference");
	if (!is_type(type))
		return error_set(err, ERROR_INVALID, 0, "critical.type is '%s'", type ? type : "");
	if (!digest || !digest_is_valid(digest))
		return error_set(err, ERROR_INVALID, 0,
				 "critical.image.docker-manifest-digest is no digest");
	if (!reference)
		return error_set(err, ERROR_INVALID, 0,
				 "critical.identity.docker-reference is missing");
	*ret = (struct signature_claim){.digest = digest, .reference = reference};
	return 0;
}

bool signature_claim_fits(const struct signature_claim *claim, const struct image_ref *ref,
			  const char *name, const char *digest)
{
	autoimage_ref struct image_ref claimed = {0};
	autofree char *claimed_name = NULL;

	if (image_ref_parse(claim->reference, &claimed, NULL) < 0)
		return false;
	claimed_name = image_ref_name(&claimed);
	if (!str_eq(claimed_name, name))
		return false;
	if (claimed.digest && !str_eq(claimed.digest, digest))
		return false;
	return !claimed.tag || ref->digest || str_eq(claimed.tag, ref->tag);
}
