/* A host's resolv.conf, whatever it says, gives one that reads the same when given again; and
 * --add-host values and port keys that are accepted stay within their formats. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "network/files.h"
#include "network/ports.h"

#include "fuzz.h"

static void check_resolv(const char *text)
{
	autostrbuf struct strbuf once = STRBUF_INIT(FILES_MAX), twice = STRBUF_INIT(FILES_MAX);
	struct files_resolv args = {.host = text, .own_netns = true, .ipv6 = true};

	if (files_resolv(&args, &once, NULL) < 0)
		return;
	if (strchr(once.s, '\r') || strchr(once.s, '#') || !strstr(once.s, "nameserver "))
		abort();
	args.host = once.s;
	if (files_resolv(&args, &twice, NULL) < 0 || strcmp(once.s, twice.s) != 0)
		abort();
}

static void check_host(const char *text)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);
	const char *const extra[] = {text};
	struct files_hosts args = {.extra = extra, .extra_count = 1};
	size_t lines = 0;

	if (files_hosts(&args, &out, NULL) < 0)
		return;
	for (const char *s = out.s; *s; s++)
		lines += *s == '\n';
	if (lines != 7) /* six of our own and one more */
		abort();
}

static void check_port(const char *text)
{
	char key[16];
	uint16_t port;
	uint8_t proto;

	if (ports_key_parse(text, &port, &proto, NULL) < 0)
		return;
	ports_key_format(port, proto, key);
	if (strncmp(strchr(key, '/') + 1, strchr(text, '/') ? strchr(text, '/') + 1 : "tcp", 4) !=
	    0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xstrndup((const char *)data, size);

	check_resolv(text);
	check_host(text);
	check_port(text);
	return 0;
}
