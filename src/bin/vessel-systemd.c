/* vessel-systemd: a request to systemd in JSON on stdin, the answer on stdout (linux/systemd_bus.h).
 * It fails with the error's kind in the first word of its output. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "linux/systemd_bus.h"

#define REQUEST_MAX ((size_t)1 << 20)

int main(void)
{
	autofree char *text = NULL, *answer = NULL;
	autoerror struct error err = {0};
	struct arena *arena = arena_new();
	const struct json *request;
	size_t len = 0;
	int r = file_read(AT_FDCWD, "/proc/self/fd/0", REQUEST_MAX, &text, &len, &err);

	if (r >= 0)
		r = json_parse(arena, text, len, &request, &err);
	if (r >= 0)
		r = systemd_bus_run(request, &answer, &err);
	if (r < 0)
		printf("%s %s\n", error_kind_name(err.kind), error_msg(&err));
	else
		printf("%s\n", answer);
	(void)arena_free(arena);
	return r < 0;
}
