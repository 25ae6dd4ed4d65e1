/* Registries' servers and certificates. */
#include "registry/config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"

#define HUB_DOMAIN  "docker.io"
#define HUB_URL     "https://registry-1.docker.io"
#define HUB_INDEX   "https://index.docker.io"
#define PEM_MAX     ((size_t)1 << 20)
#define PEM_SUM_MAX ((size_t)8 << 20)

/* ---- names and addresses ---- */

/* "host:5000", "[::1]:5000" -> "host", "::1" */
static char *host_of(const char *domain)
{
	const char *colon = strrchr(domain, ':');

	if (domain[0] == '[')
		return xstrndup(domain + 1, strcspn(domain + 1, "]"));
	return colon ? xstrndup(domain, (size_t)(colon - domain)) : xstrdup(domain);
}

struct address {
	unsigned char bytes[16];
	size_t len; /* 4 or 16 */
};

static bool parse_address(const char *s, struct address *ret)
{
	if (inet_pton(AF_INET, s, ret->bytes) == 1)
		ret->len = 4;
	else if (inet_pton(AF_INET6, s, ret->bytes) == 1)
		ret->len = 16;
	else
		return false;
	return true;
}

static bool parse_cidr(const char *s, struct address *ret, uint32_t *ret_bits)
{
	const char *slash = strchr(s, '/');
	autofree char *address = slash ? xstrndup(s, (size_t)(slash - s)) : NULL;

	return address && parse_address(address, ret) && str_parse_u32(slash + 1, ret_bits) == 0 &&
	       *ret_bits <= 8 * ret->len;
}

static bool is_in(const struct address *a, const char *cidr)
{
	struct address net;
	uint32_t bits;

	if (!parse_cidr(cidr, &net, &bits) || net.len != a->len)
		return false;
	for (uint32_t i = 0; i < bits; i++)
		if ((a->bytes[i / 8] ^ net.bytes[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

bool registry_is_insecure(const struct registry_config *c, const char *domain)
{
	autofree char *host = host_of(domain);
	const char *name = strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	struct address a;
	bool is_address = parse_address(name, &a);

	for (size_t i = 0; i < c->insecure.n; i++)
		if (strcasecmp(c->insecure.v[i], domain) == 0 ||
		    (is_address && is_in(&a, c->insecure.v[i])))
			return true;
	return is_address && (is_in(&a, "127.0.0.0/8") || is_in(&a, "::1/128"));
}

/* ---- certificates ---- */

struct certificates {
	struct strbuf ca;
	char *cert, *key; /* owned */
};

static void certificates_done(struct certificates *c)
{
	strbuf_done(&c->ca);
	free(c->cert);
	free(c->key);
}
#define autocertificates __attribute__((cleanup(certificates_done)))

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The first certificate with its key is ours. */
static int read_pair(int dir, const char *path, const char *name, struct certificates *ret,
		     struct error *err)
{
	autofree char *key = xasprintf("%.*s.key", (int)(strlen(name) - strlen(".cert")), name);
	autofree char *cert_text = NULL, *key_text = NULL;
	int r;

	r = file_read(dir, name, PEM_MAX, &cert_text, NULL, err);
	if (r >= 0)
		r = file_read(dir, key, PEM_MAX, &key_text, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "client certificate '%s/%s' and its key '%s'", path, name,
				  key);
	ret->cert = TAKE_PTR(cert_text);
	ret->key = TAKE_PTR(key_text);
	return 0;
}

static int read_folder(const char *path, struct certificates *ret, struct error *err)
{
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	int n = dir >= 0 ? scandir(path, &names, NULL, compare) : 0, r = 0;

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		autofree char *text = NULL;

		if (r >= 0 && str_has_suffix(name, ".crt")) {
			r = file_read(dir, name, PEM_MAX, &text, NULL, err);
			strbuf_adds(&ret->ca, text ? text : "");
			strbuf_addc(&ret->ca, '\n');
		} else if (r >= 0 && str_has_suffix(name, ".cert") && !ret->cert) {
			r = read_pair(dir, path, name, ret, err);
		}
		free(names[i]);
	}
	free(names);
	return r < 0 ? error_wrap(err, r, "certificates in '%s'", path) : 0;
}

static int read_certificates(const char *domain, struct certificates *ret, struct error *err)
{
	static const char *const dirs[] = {REGISTRY_CERTS_DIRS};

	strbuf_init(&ret->ca, PEM_SUM_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autofree char *path = xasprintf("%s/%s", dirs[i], domain);
		int r = read_folder(path, ret, err);

		if (r < 0)
			return r;
	}
	return strbuf_error(&ret->ca) < 0
		       ? error_set(err, ERROR_INVALID, E2BIG, "certificates for '%s'", domain)
		       : 0;
}

/* ---- endpoints ---- */

struct endpoint {
	const char *url;
	const char *domain; /* of its certificates */
	bool is_mirror;
	bool skip_verify;
};

static int write_endpoint(struct json_writer *w, const struct endpoint *e, struct error *err)
{
	autocertificates struct certificates certs = {0};
	size_t len = strlen(e->url);
	int r = read_certificates(e->domain, &certs, err);

	if (r < 0)
		return r;
	while (len > 0 && e->url[len - 1] == '/')
		len--;
	jw_object(w);
	jw_key(w, "url");
	jw_stringn(w, e->url, len);
	jw_kbool(w, "mirror", e->is_mirror);
	jw_kbool(w, "skip_verify", e->skip_verify);
	if (certs.ca.len > 0)
		jw_kstring(w, "ca", certs.ca.s);
	if (certs.cert) {
		jw_kstring(w, "cert", certs.cert);
		jw_kstring(w, "key", certs.key);
	}
	jw_object_end(w);
	return 0;
}

static int write_mirror(const struct registry_config *c, const char *url, struct json_writer *w,
			struct error *err)
{
	const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
	autofree char *domain = xstrndup(host, strcspn(host, "/"));
	const struct endpoint e = {.url = url,
				   .domain = domain,
				   .is_mirror = true,
				   .skip_verify = registry_is_insecure(c, domain)};

	return write_endpoint(w, &e, err);
}

int registry_write_endpoints(const struct registry_config *c, const char *domain,
			     enum registry_purpose purpose, struct json_writer *w,
			     struct error *err)
{
	bool is_hub = str_eq(domain, HUB_DOMAIN), insecure = registry_is_insecure(c, domain);
	autofree char *https = !is_hub ? xasprintf("https://%s", domain)
				       : xstrdup(purpose == REGISTRY_SEARCH ? HUB_INDEX : HUB_URL);
	autofree char *http = xasprintf("http://%s", domain);
	struct endpoint e = {.url = https, .domain = domain, .skip_verify = insecure};
	int r = 0;

	jw_karray(w, "endpoints");
	for (size_t i = 0; is_hub && purpose == REGISTRY_PULL && i < c->mirrors.n && r >= 0; i++)
		r = write_mirror(c, c->mirrors.v[i], w, err);
	if (r >= 0)
		r = write_endpoint(w, &e, err);
	if (r >= 0 && insecure && !is_hub) {
		e.url = http;
		r = write_endpoint(w, &e, err);
	}
	if (r >= 0)
		jw_array_end(w);
	return r;
}
