/* SHA-256 by OpenSSL's EVP interface. */
#include "base/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/str.h"

#define PREFIX     "sha256:"
#define PREFIX_LEN 7u
#define HASH_SIZE  32u

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Fetched once: doing so at each start costs more than hashing a small object. */
static EVP_MD *algorithm;
static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;

static void fetch_algorithm(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!algorithm)
		abort(); /* only memory can be short: the default provider has it */
}

struct sha256 *sha256_new(void)
{
	struct sha256 *h = xnew0(struct sha256);

	(void)pthread_once(&algorithm_once, fetch_algorithm);
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex2(h->ctx, algorithm, NULL) != 1)
		abort();
	return h;
}

void sha256_update(struct sha256 *h, const void *data, size_t len)
{
	if (EVP_DigestUpdate(h->ctx, data, len) != 1)
		abort();
}

void sha256_digest(struct sha256 *h, char ret[static DIGEST_STRING_SIZE])
{
	unsigned char hash[HASH_SIZE];

	if (EVP_DigestFinal_ex(h->ctx, hash, NULL) != 1)
		abort();
	memcpy(ret, PREFIX, PREFIX_LEN);
	hex_encode(hash, sizeof(hash), ret + PREFIX_LEN);
}

struct sha256 *sha256_free(struct sha256 *h)
{
	if (!h)
		return NULL;
	EVP_MD_CTX_free(h->ctx);
	free(h);
	return NULL;
}

void sha256_of(const void *data, size_t len, char ret[static DIGEST_STRING_SIZE])
{
	autosha256 struct sha256 *h = sha256_new();

	sha256_update(h, data, len);
	sha256_digest(h, ret);
}

bool digest_is_valid(const char *s)
{
	return str_has_prefix(s, PREFIX) && strlen(s) == DIGEST_STRING_SIZE - 1 &&
	       str_is_hex(s + PREFIX_LEN, 2 * HASH_SIZE);
}

const char *digest_hex(const char *digest)
{
	return digest + PREFIX_LEN;
}
