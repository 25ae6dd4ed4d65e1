/* Archives from and to the engine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "cli/cli.h"
#include "http/client.h"

static int copy_to(struct http_response *response, int fd, struct error *err)
{
	static char buf[65536];
	ssize_t n;

	while ((n = http_response_read(response, buf, sizeof(buf), err)) > 0) {
		int r = fd_write_full(fd, buf, (size_t)n);

		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "write archive");
	}
	return (int)n;
}

/* To a temporary name first: a failed download leaves no half archive. */
int cli_download(struct cli *cli, const char *path, const char *output, struct error *err)
{
	struct http_client_request req = {.method = "GET"};
	struct http_response *response = NULL;
	const char *temporary = output ? arena_printf(cli->arena, "%s.partial", output) : NULL;
	autoclose int fd = -EBADF;
	int r = cli_send(cli, &req, path, &response, err);

	if (r < 0)
		return r;
	fd = temporary ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
		       : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		r = error_set(err, ERROR_INVALID, errno, "create '%s'", output);
	else
		r = copy_to(response, fd, err);
	(void)http_response_free(response);
	if (r == 0 && temporary && rename(temporary, output) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "rename '%s'", temporary);
	if (r < 0 && temporary)
		(void)unlink(temporary);
	return r;
}

static ssize_t read_input(void *data, void *buf, size_t size)
{
	ssize_t n = read(*(const int *)data, buf, size);

	return n < 0 ? -errno : n;
}

int cli_upload(struct cli *cli, const char *method, const char *path, int fd,
	       struct http_response **ret, struct error *err)
{
	struct http_client_request req = {.method = method,
					  .content_type = "application/x-tar",
					  .read_body = read_input,
					  .read_data = &fd};
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
		req.read_length = (uint64_t)st.st_size;
		req.read_length_known = true;
	}
	return cli_send(cli, &req, path, ret, err);
}
