/* What the command line's tests want done: sd_notify(3), by hand. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "payload.h"

/* notify TEXT [stay]: tell $NOTIFY_SOCKET, and wait for a signal. */
static int word_notify(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (argc < 2 || !name || !str_copy(address.sun_path, sizeof(address.sun_path), name) ||
	    sendto(fd, argv[1], strlen(argv[1]), 0, (const struct sockaddr *)&address,
		   sizeof(address)) < 0) {
		perror("notify");
		return 1;
	}
	if (argc > 2)
		(void)pause();
	return 0;
}

const struct payload_command command_commands[] = {
	{"notify", word_notify},
	{0},
};
