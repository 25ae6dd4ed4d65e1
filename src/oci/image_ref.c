/* Image names. */
#include "oci/image_ref.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define DEFAULT_DOMAIN  "docker.io"
#define LEGACY_DOMAIN   "index.docker.io"
#define OFFICIAL_PREFIX "library/"

static const char *const invalid_format = "invalid reference format";

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_upper(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (is_upper(s[i]))
			return true;
	return false;
}

/* Runs of lower-case letters and digits, with one of '.', '_', '__' or any number of '-' between. */
static bool component_is_valid(const char *s, size_t len)
{
	size_t i = 0;

	if (len == 0)
		return false;
	for (;;) {
		size_t start = i;

		while (i < len && (is_lower(s[i]) || is_digit(s[i])))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		if (s[i] == '-')
			while (i < len && s[i] == '-')
				i++;
		else if (s[i] == '_')
			i += i + 1 < len && s[i + 1] == '_' ? 2 : 1;
		else if (s[i] == '.')
			i++;
		else
			return false;
	}
}

static bool path_is_valid(const char *s)
{
	for (;;) {
		size_t len = strcspn(s, "/");

		if (!component_is_valid(s, len))
			return false;
		if (s[len] == '\0')
			return true;
		s += len + 1;
	}
}

static bool host_is_valid(const char *s, size_t len)
{
	size_t i = 0;

	if (len > 2 && s[0] == '[' && s[len - 1] == ']') { /* IPv6, no zone */
		for (i = 1; i < len - 1; i++)
			if (!is_hex(s[i]) && s[i] != ':')
				return false;
		return true;
	}
	while (i < len) {
		size_t start = i;

		while (i < len && (is_alnum(s[i]) || s[i] == '-'))
			i++;
		if (i == start || s[start] == '-' || s[i - 1] == '-')
			return false;
		if (i < len && (s[i] != '.' || ++i == len))
			return false;
	}
	return len > 0;
}

static bool domain_is_valid(const char *s)
{
	size_t len = strlen(s), host = len;
	const char *colon = strrchr(s, ':');

	if (colon && !(s[0] == '[' && s[len - 1] == ']')) {
		host = (size_t)(colon - s);
		for (const char *p = colon + 1; *p; p++)
			if (!is_digit(*p))
				return false;
		if (colon[1] == '\0')
			return false;
	}
	return host_is_valid(s, host);
}

bool image_ref_tag_is_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (len == 0 || len > IMAGE_REF_MAX_TAG || tag[0] == '.' || tag[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(tag[i]) && !strchr("_.-", tag[i]))
			return false;
	return true;
}

/* Any algorithm is grammatical; only the registered ones can be used. */
static int check_digest(const char *s, struct error *err)
{
	static const struct {
		const char *prefix;
		size_t hex;
	} known[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
	const char *hex = strchr(s, ':');
	size_t len;

	if (!hex || hex == s)
		return error_set(err, ERROR_INVALID, 0, "%s", invalid_format);
	for (const char *p = s; p < hex; p++)
		if (!is_alnum(*p) &&
		    !(strchr("+._-", *p) && p > s && is_alnum(p[-1]) && is_alnum(p[1])))
			return error_set(err, ERROR_INVALID, 0, "%s", invalid_format);
	hex++;
	len = strlen(hex);
	for (size_t i = 0; i < len; i++)
		if (!is_hex(hex[i]))
			return error_set(err, ERROR_INVALID, 0, "%s", invalid_format);
	if (len < 32)
		return error_set(err, ERROR_INVALID, 0, "%s", invalid_format);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!str_has_prefix(s, known[i].prefix))
			continue;
		if (len != known[i].hex)
			return error_set(err, ERROR_INVALID, 0, "invalid checksum digest length");
		if (!str_is_hex(hex, len))
			return error_set(err, ERROR_INVALID, 0, "invalid checksum digest format");
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "unsupported digest algorithm");
}

/* The first component is a domain if it looks like one: a dot, a port, "localhost", or capitals. */
static void split_domain(const char *s, char **ret_domain, const char **ret_rest)
{
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : 0;
	bool is_domain =
		slash && (memchr(s, '.', len) || memchr(s, ':', len) ||
			  (len == 9 && memcmp(s, "localhost", 9) == 0) || has_upper(s, len));

	*ret_domain = is_domain ? xstrndup(s, len) : xstrdup(DEFAULT_DOMAIN);
	*ret_rest = is_domain ? slash + 1 : s;
	if (str_eq(*ret_domain, LEGACY_DOMAIN)) {
		free(*ret_domain);
		*ret_domain = xstrdup(DEFAULT_DOMAIN);
	}
}

static bool is_identifier(const char *s)
{
	return strlen(s) == 64 && str_is_hex(s, 64);
}

int image_ref_parse(const char *s, struct image_ref *ret, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	autofree char *rest = NULL;
	const char *remainder;
	char *at, *colon;
	int r;

	if (is_identifier(s))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid repository name (%s), cannot specify 64-byte hexadecimal "
				 "strings",
				 s);
	split_domain(s, &ref.domain, &remainder);
	rest = str_eq(ref.domain, DEFAULT_DOMAIN) && !strchr(remainder, '/')
		       ? xasprintf(OFFICIAL_PREFIX "%s", remainder)
		       : xstrdup(remainder);

	at = strchr(rest, '@');
	if (at) {
		*at = '\0';
		r = check_digest(at + 1, err);
		if (r < 0)
			return r;
		ref.digest = xstrdup(at + 1);
	}
	colon = strchr(rest, ':');
	if (colon)
		*colon = '\0';
	if (has_upper(rest, strlen(rest)))
		return error_set(err, ERROR_INVALID, 0,
				 "%s: repository name (%s) must be lowercase", invalid_format,
				 rest);
	if (!path_is_valid(rest) || !domain_is_valid(ref.domain) ||
	    (colon && !image_ref_tag_is_valid(colon + 1)))
		return error_set(err, ERROR_INVALID, 0, "%s", invalid_format);
	if (strlen(ref.domain) + 1 + strlen(rest) > IMAGE_REF_MAX_NAME)
		return error_set(err, ERROR_INVALID, 0,
				 "repository name must not be more than %d characters",
				 IMAGE_REF_MAX_NAME);
	if (colon)
		ref.tag = xstrdup(colon + 1);
	ref.path = TAKE_PTR(rest);
	*ret = ref;
	ref = (struct image_ref){0};
	return 0;
}

void image_ref_done(struct image_ref *ref)
{
	free(ref->domain);
	free(ref->path);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct image_ref){0};
}

void image_ref_default_tag(struct image_ref *ref)
{
	if (!ref->tag && !ref->digest)
		ref->tag = xstrdup("latest");
}

char *image_ref_name(const struct image_ref *ref)
{
	return xasprintf("%s/%s", ref->domain, ref->path);
}

char *image_ref_familiar_name(const struct image_ref *ref)
{
	const char *path = ref->path;

	if (!str_eq(ref->domain, DEFAULT_DOMAIN))
		return image_ref_name(ref);
	if (str_has_prefix(path, OFFICIAL_PREFIX) && !strchr(path + strlen(OFFICIAL_PREFIX), '/'))
		path += strlen(OFFICIAL_PREFIX);
	return xstrdup(path);
}

static char *with_suffixes(const char *name, const struct image_ref *ref)
{
	return xasprintf("%s%s%s%s%s", name, ref->tag ? ":" : "", ref->tag ? ref->tag : "",
			 ref->digest ? "@" : "", ref->digest ? ref->digest : "");
}

char *image_ref_format(const struct image_ref *ref)
{
	autofree char *name = image_ref_name(ref);

	return with_suffixes(name, ref);
}

char *image_ref_familiar(const struct image_ref *ref)
{
	autofree char *name = image_ref_familiar_name(ref);

	return with_suffixes(name, ref);
}
