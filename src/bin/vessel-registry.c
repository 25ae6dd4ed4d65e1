/* vessel-registry: speaks with registries for vesseld, without privileges (registry/protocol.h). */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/protocol.h"
#include "registry/sandbox.h"
#include "registry/serve.h"

#define SYSTEM_CA_MAX ((size_t)16 << 20)

/* libcurl reads HTTP_PROXY in lower case only, as CGI programs are given the other by strangers. */
static void adopt_proxy(void)
{
	const char *proxy = getenv("HTTP_PROXY");

	if (proxy && !getenv("http_proxy"))
		(void)setenv("http_proxy", proxy, 1);
}

/* Of Debian, Fedora, SUSE, Alpine. */
static char *read_system_ca(void)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	char *pem = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !pem; i++)
		(void)file_read(AT_FDCWD, places[i], SYSTEM_CA_MAX, &pem, NULL, NULL);
	return pem;
}

int main(void)
{
	autofree char *system_ca = NULL;
	autoerror struct error err = {0};

	log_set_name("vessel-registry");
	(void)signal(SIGPIPE, SIG_IGN);
	adopt_proxy();
	system_ca = read_system_ca();
	if (sandbox_enter(&err) < 0) {
		log_error("%s", error_msg(&err));
		return 1;
	}
	return registry_serve(PROTOCOL_FD, system_ca) < 0 ? 1 : 0;
}
