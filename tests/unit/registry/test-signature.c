/* Signatures of fixed bytes by fixed keys, made by the openssl command; and what payloads claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "registry/signature.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OTHER  "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define PAYLOAD(type, digest, reference)                                                   \
	"{\"critical\":{\"identity\":{\"docker-reference\":\"" reference "\"},\"image\":{" \
	"\"docker-manifest-digest\":\"" digest "\"},\"type\":\"" type "\"},\"optional\":null}"
#define TYPE "cosign container image signature"

static const char payload[] = PAYLOAD(TYPE, DIGEST, "registry.test:5000/team/app");

static const char key_p256[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0zJL7glbM6/rbpmslRqWQPD+yIEB\n"
			       "FVx5VeZoQXURXnNx+2QdFXBcfpAlLVQxFHWZS3m/sq9FEoKD/Z9x4V6h3w==\n"
			       "-----END PUBLIC KEY-----\n";
static const char key_p384[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEniIrp5yv0/zVMIe1pFfzbUpjUaxMNiSb\n"
			       "t7PhIezYDByasGL2813V4xz7ZvemMczZ91DOTIWeA0YHeo4zM4HGIDR51iXEytom\n"
			       "RExjlnh7IOwyQHMVEQOAIaZ4no/n/3xS\n"
			       "-----END PUBLIC KEY-----\n";
static const char key_rsa[] = "-----BEGIN PUBLIC KEY-----\n"
			      "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsVw3cvR5Qif0ekGC8AJ3\n"
			      "z9iSYmYsE3UsSKKX9ppIGUjO2nW9lA8qUuraF0IFffnEHz0m5aZg6RuLMpX4I2Jh\n"
			      "jH43fnAoezs+Yh1ygBG2ieqnU1gnD0OPPTepAN+hRn3xRfV+6LaNX2JBbjP9A4rP\n"
			      "dwhsvemk5LzifhZBQMZrOKvKyDlPwwRq7bLmx2Ddbpmb9UdQ7W/4SXBvDhPL0z2c\n"
			      "/9zrGLBtTAwOUeOshEb9D2aK0Wdsbk9nrbrpFPB7DiJuVP/cS0MiAXk85smcF8G5\n"
			      "RK4XzmhALriSZBYcHvC9srN2H/KKBKh3KAuKvdOWOCR+8Gl9jqOHeq6DnUSfDN5D\n"
			      "oQIDAQAB\n"
			      "-----END PUBLIC KEY-----\n";
static const char key_ed[] = "-----BEGIN PUBLIC KEY-----\n"
			     "MCowBQYDK2VwAyEAj36p7GhpTvuzcdvInmczly9EhA7lnwCF93seIYzY4Qo=\n"
			     "-----END PUBLIC KEY-----\n";
static const char key_p521[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBkriOxr1csZjPWoYpPMW2iYXGftoC\n"
			       "kpskIUE4voX6+WOOmjvLSEok7HhnJj2sCM7yQtdLyYtAryaopT1aFBvjzLQAt9d9\n"
			       "/V/k0slYoICYovU+FWSnWcu+Re/ZJH4nXkO/NJ8GEJQRYwsuYze/XYUeddEFz5om\n"
			       "SIokb8fr3RoyOq9tFbI=\n"
			       "-----END PUBLIC KEY-----\n";
static const char key_weak[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDFPQXZ+cFHm/uiuT2iuiXQVOBr\n"
			       "17GAyZo/JxHt20FoooPt4JFTjhxpxN+iu1xosvAFxoOG/XIxBp4f3rtIgUP5cWfw\n"
			       "1sElID+da0aH0thC6TPyRwjyL0ViMQW4sQieCWOFqXnhDZYWv573p8VD+1krEOP9\n"
			       "Sjnn2pi7lEmbcRlklwIDAQAB\n"
			       "-----END PUBLIC KEY-----\n";
static const char key_k1[] = "-----BEGIN PUBLIC KEY-----\n"
			     "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEodj6mvKEqtY5Py8ZFVT119dgiL3IdhTY\n"
			     "LojDJZ6m3wT6hE36c8ppSikahIbwGsz+UKCHUbKZCIVfRwOQbWLMpg==\n"
			     "-----END PUBLIC KEY-----\n";
static const char by_p256[] = "MEUCIHo+XfhDOwV53PvATftH7zIA3iGkvAv8kvbUqr/wesZLAiEA3IMj5Mhgq15w"
			      "1KQGIOCsYn0XCCeOMaKoQG7CnRAx9Zo=";
static const char by_p256b[] = "MEQCIE1MU91WrVbZlUnGEBcZBUVSlyJrBSxCaX+o2aW3nWM9AiBB4idctzD5m+R7"
			       "9DD/qMvHlX1sGepXqsDu0eQZjXzBxA==";
static const char by_sha1[] = "MEUCIQCuCrmbTir157R5SaSVK3RnWaGIqtLU90S5+I2ba8WJYQIgSRt9LEEh6v8a"
			      "T8lRqlIzAJVTy9qDXCUAl6g8qwB/hz4=";
static const char by_p384[] = "MGUCMGgebdGDnO1IYLLrQPT8ZdPtK61gC+09epS+jH+maNjacjOTOY7Y3ITB3fVW"
			      "3i0MkwIxAN30VKbOrzrWXIf1ui8WJeDadCuiptyug0wc/c6+qdLn7MB/TqiOFHrW"
			      "U824Oco41g==";
static const char by_p384b[] = "MGQCMF4xqsOq605AFWoEv+wV8ae3eaE7uAUSIvLkXT0oDGmjPA4c/kKweB0B7s0C"
			       "YdvIrQIwdTUrgJ+JDL8ucsmQB1ooJUNnXf8dUXUpTf9R7QPpdwv/d5uwR+mkrkJE"
			       "7uSp/nty";
static const char by_rsa[] = "OfutdWvR9K/OTJVIdJY8N2SHCto2uGzgjt1wEbV8X+JKHgjZegS6wo+/RB0qGdyB"
			     "dIZnD/GCi7M84rP89bnQSYVwOrS1Hvg17gz/aVQExJ8VGDTvEXW5XLqYeNVQInkv"
			     "datw1hcrzZHGOjsluB6lD/ABp763h1mwinyhcwzLKUmqZiyxsfcYZcERqQLWaXz8"
			     "sqHWBHJaHcDj4neP+4aWyDHZYGQBj5Fe9v/5Y5AWK3L3f5h7JVqUNXOsoddXDECM"
			     "+jbokEug7whxDir61CX/z2QnQigdCk0JW/Tkqht5iT0kQ/5NeVmo7YnCyedWzZhc"
			     "/UVRSc23vZCeG3/UyeEO0A==";
static const char by_pss[] = "IylSdDf/a8dd0J8mb6M32DZa0/zERnzRImvCma8AAJtvBwUZVIbmkjW44YnntYme"
			     "BL4og5ooi+oKISp7OL72Al9VKRfdzKl4J9sd6kyWTGUx20yFBDqiYjXqaZKUTrNJ"
			     "vREIzsA+LE5LNlAFWEJKs3pPZJRANKytfepwzOA51X8Duuvd3hqlJQqBmwwOQZpV"
			     "bGxTK2h+VUuanA7COFxNH+dLrCPDgVISCa31/iUldhl5Q+nTX5eg1feYBdqNCWoY"
			     "YB3V2/2UwFZ/HAvohaDZSmRlUo0r2Fyy1EBe/Ek2CiIlxQZfI78lNwy9Zoargqn3"
			     "3B2PpHeSpgHYyhhUJag1Yg==";
static const char by_ed[] = "kBxZULp6uxj4a3As+1MzhpZSG7eYKTnPsKNOTYWqny5VkUt12LdZD54wiIXTKEJY"
			    "aoO+I3zMFT9o/XPnDyTFDg==";

static struct evp_pkey_st *key_of(const char *pem)
{
	struct evp_pkey_st *key = NULL;

	assert_int_equal(signature_key_parse(pem, strlen(pem), &key, NULL), 0);
	return key;
}

static bool is_by(const char *text, size_t len, const char *signature, const char *pem)
{
	autostrbuf struct strbuf bytes = STRBUF_INIT(SIGNATURE_MAX);
	struct evp_pkey_st *key = key_of(pem);
	struct signature s = {.payload = text, .payload_len = len};
	bool good;

	assert_int_equal(base64_decode(signature, strlen(signature), &bytes), 0);
	s.bytes = bytes.s;
	s.len = bytes.len;
	good = signature_is_by(&s, key);
	(void)signature_key_free(key);
	return good;
}

static const char *const keys[] = {key_p256, key_p384, key_rsa, key_ed};

/* Each signature is its own key's, over these bytes, by that hash. */
static void signatures(void **state)
{
	static const struct {
		const char *signature, *key; /* NULL: nobody's, for its hash is none of ours */
	} cases[] = {
		{by_p256, key_p256}, {by_p384, key_p384}, {by_p384b, key_p384}, {by_rsa, key_rsa},
		{by_pss, key_rsa},   {by_ed, key_ed},     {by_p256b, NULL},     {by_sha1, NULL},
	};
	char changed[sizeof(payload)];

	(void)state;
	memcpy(changed, payload, sizeof(payload));
	changed[20] ^= 1;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *signature = cases[i].signature;

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			bool own = keys[k] == cases[i].key;

			if (is_by(payload, strlen(payload), signature, keys[k]) != own)
				fail_msg("signature %zu, key %zu", i, k);
			assert_false(is_by(changed, strlen(payload), signature, keys[k]));
			assert_false(is_by(payload, strlen(payload) - 1, signature, keys[k]));
			assert_false(is_by(payload, strlen(payload) + 1, signature, keys[k]));
		}
	}
}

static void broken_signatures(void **state)
{
	static const char long_text[SIGNATURE_PAYLOAD_MAX + 1];
	struct evp_pkey_st *key = key_of(key_p256);
	unsigned char bytes[SIGNATURE_MAX + 1] = {0x30, 0x06, 0x02, 0x01, 0, 0x02, 0x01, 0};
	struct signature s = {payload, strlen(payload), bytes, 8};

	(void)state;
	assert_false(signature_is_by(&s, key)); /* r and s are zero */
	for (size_t len = 0; len <= sizeof(bytes); len += len < 16 ? 1 : 63) {
		s.len = len;
		assert_false(signature_is_by(&s, key));
	}
	s = (struct signature){long_text, sizeof(long_text), bytes, 8};
	assert_false(signature_is_by(&s, key));
	(void)signature_key_free(key);
}

static void no_keys(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
		key_p521,
		key_weak,
		key_k1,
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAj36p7GhpTvuzcdvInm==\n"
		"-----END PUBLIC KEY-----\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		autoerror struct error err = {0};
		struct evp_pkey_st *key = NULL;

		if (signature_key_parse(texts[i], strlen(texts[i]), &key, &err) >= 0)
			fail_msg("text %zu is a key", i);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(key);
	}
}

static void claims(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"critical\":[]}",
		PAYLOAD("other", DIGEST, "a/b"),
		PAYLOAD(TYPE, "sha256:12", "a/b"),
		PAYLOAD(TYPE,
			"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"a/b"),
		PAYLOAD(TYPE, DIGEST, "a/b") " x",
		"{\"critical\":{\"type\":\"" TYPE
		"\",\"image\":{\"docker-manifest-digest\":\"" DIGEST
		"\"},\"identity\":{\"docker-reference\":7}}}",
	};
	autoarena struct arena *a = arena_new();
	struct signature_claim c = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (signature_claim_parse(a, bad[i], strlen(bad[i]), &c, NULL) >= 0)
			fail_msg("payload %zu claims something", i);
	assert_null(c.digest);
	assert_int_equal(signature_claim_parse(a, payload, strlen(payload), &c, NULL), 0);
	assert_string_equal(c.digest, DIGEST);
	assert_string_equal(c.reference, "registry.test:5000/team/app");
	assert_int_equal(
		signature_claim_parse(a, PAYLOAD("atomic container signature", DIGEST, "b:1"),
				      strlen(PAYLOAD("atomic container signature", DIGEST, "b:1")),
				      &c, NULL),
		0);
	assert_string_equal(c.reference, "b:1");
}

static void fits(void **state)
{
	static const struct {
		const char *pulled, *claimed;
		bool fits;
	} cases[] = {
		{"busybox", "docker.io/library/busybox", true},
		{"busybox", "index.docker.io/library/busybox", true},
		{"busybox", "busybox", true},
		{"busybox:1", "busybox:1", true},
		{"busybox:1", "busybox:2", false},
		{"busybox@" DIGEST, "busybox:2", true},
		{"busybox:1", "busybox@" DIGEST, true},
		{"busybox:1", "busybox@" OTHER, false},
		{"busybox@" DIGEST, "busybox@" OTHER, false},
		{"busybox", "docker.io/library/busybox/more", false},
		{"busybox", "docker.io/library", false},
		{"r.test/a", "r.test:443/a", false},
		{"r.test:5000/a", "r.test:5000/a", true},
		{"r.test:5000/a", "r.test:5000/A", false},
		{"r.test:5000/a", "", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct signature_claim c = {.digest = DIGEST, .reference = cases[i].claimed};
		autoimage_ref struct image_ref ref = {0};
		autofree char *name = NULL;

		assert_int_equal(image_ref_parse(cases[i].pulled, &ref, NULL), 0);
		image_ref_default_tag(&ref);
		name = image_ref_name(&ref);
		if (signature_claim_fits(&c, &ref, name, DIGEST) != cases[i].fits)
			fail_msg("'%s' for '%s'", cases[i].claimed, cases[i].pulled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures), cmocka_unit_test(broken_signatures),
		cmocka_unit_test(no_keys),    cmocka_unit_test(claims),
		cmocka_unit_test(fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
