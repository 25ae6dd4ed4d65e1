/* The helper process: vessel-registry beside our own program. */
#include "registry/remote.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/spawn.h"
#include "linux/self.h"
#include "registry/protocol.h"

#define HELPER "vessel-registry"

struct remote {
	pid_t pid;
	int sock;                 /* owned; non-blocking for reading */
	int client_fd;            /* borrowed */
	struct protocol_input in; /* owned */
	int64_t next_id;
	char code[64];
};

static int start_helper(const struct remote_args *args, int child_sock, pid_t *ret_pid,
			struct error *err)
{
	autofree char *path = self_helper(HELPER);
	const char *const argv[] = {HELPER, NULL};
	const struct spawn_fd fds[] = {{child_sock, PROTOCOL_FD}, {STDERR_FILENO, STDERR_FILENO}};
	struct spawn_args spawn_args = {.path = path,
					.argv = argv,
					.fds = fds,
					.fd_count = ARRAY_SIZE(fds),
					.new_session = true};
	autostrv struct strv env = {0};

	if (!path)
		return error_set(err, ERROR_INTERNAL, 0, "'%s' is not installed", HELPER);
	for (char **e = environ; *e; e++)
		strv_add(&env, *e);
	for (size_t i = 0; args->env && args->env[i]; i++)
		strv_add(&env, args->env[i]); /* setenv() there takes the last */
	spawn_args.envp = (const char *const *)env.v;
	return spawn(&spawn_args, ret_pid, NULL, err);
}

int remote_start(const struct remote_args *args, struct remote **ret, struct error *err)
{
	struct remote *r;
	int pair[2], n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket for '%s'", HELPER);
	n = start_helper(args, pair[1], &pid, err);
	fd_close(&pair[1]);
	if (n < 0) {
		fd_close(&pair[0]);
		return n;
	}
	r = xnew0(struct remote);
	r->pid = pid;
	r->sock = pair[0];
	r->client_fd = args->client_fd;
	protocol_input_init(&r->in);
	*ret = r;
	return 0;
}

struct remote *remote_free(struct remote *r)
{
	if (!r)
		return NULL;
	(void)kill(r->pid, SIGKILL);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&r->sock);
	protocol_input_done(&r->in);
	free(r);
	return NULL;
}

void remote_request_init(struct remote *r, const char *op, struct remote_request *ret)
{
	strbuf_init(&ret->text, PROTOCOL_FRAME_MAX);
	json_writer_init(&ret->w, &ret->text);
	ret->id = ++r->next_id;
	jw_object(&ret->w);
	jw_kint(&ret->w, "id", ret->id);
	jw_kstring(&ret->w, "op", op);
}

int remote_send(struct remote *r, struct remote_request *req, int fd, struct error *err)
{
	int n;

	jw_object_end(&req->w);
	n = protocol_send(r->sock, &req->text, fd);
	strbuf_done(&req->text);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, -n, "ask '%s'", HELPER);
	return 0;
}

int remote_fd(const struct remote *r)
{
	return r->sock;
}

int remote_client_fd(const struct remote *r)
{
	return r->client_fd;
}

int remote_client_gone(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, 0, "context canceled");
}

static int decode(struct arena *a, const char *text, size_t len, struct remote_reply *ret,
		  struct error *err)
{
	const struct json *doc;
	int r = json_parse(a, text, len, &doc, err);

	if (r < 0)
		return error_wrap(err, r, "read what '%s' says", HELPER);
	*ret = (struct remote_reply){
		.id = json_get_int(doc, "id"),
		.ok = json_get(doc, "ok"),
		.error = json_get(doc, "error"),
		.retry_s = json_get_int(doc, "retry"),
		.progress = json_get_int(doc, "progress"),
	};
	return 1;
}

int remote_receive(struct remote *r, struct arena *a, struct remote_reply *ret, struct error *err)
{
	autofree char *text = NULL;
	size_t len = 0;
	int n = protocol_next(&r->in, &text, &len);

	if (n == 0) {
		n = protocol_read(&r->in, r->sock);
		if (n == 0 || n == -ECONNRESET)
			return error_set(err, ERROR_INTERNAL, 0, "'%s' ended too early", HELPER);
		if (n > 0)
			n = protocol_next(&r->in, &text, &len);
	}
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, -n, "read what '%s' says", HELPER);
	return n == 0 ? 0 : decode(a, text, len, ret, err);
}

int remote_error(const struct json *error, struct error *err)
{
	const char *kind = json_get_string(error, "kind"),
		   *message = json_get_string(error, "message");

	return error_set(err, error_kind_parse(kind ? kind : ""), 0, "%s",
			 message ? message : "no reason was given");
}

const char *remote_error_code(const struct remote *r)
{
	return r->code;
}

int remote_ask(struct remote *r, struct remote_request *req, struct arena *a,
	       const struct json **ret, struct error *err)
{
	return remote_ask_with(r, req, -1, a, ret, err);
}

int remote_ask_with(struct remote *r, struct remote_request *req, int fd, struct arena *a,
		    const struct json **ret, struct error *err)
{
	struct pollfd fds[] = {{.fd = r->sock, .events = POLLIN}, {.fd = r->client_fd}};
	struct remote_reply reply;
	int64_t id = req->id;
	int n;

	r->code[0] = '\0';
	n = remote_send(r, req, fd, err);
	while (n >= 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return error_set(err, ERROR_INTERNAL, errno, "wait for '%s'", HELPER);
		if (fds[1].revents & (POLLHUP | POLLERR))
			return remote_client_gone(err);
		if (!fds[0].revents)
			continue;
		n = remote_receive(r, a, &reply, err);
		if (n <= 0 || reply.id != id || (!reply.ok && !reply.error))
			continue;
		if (reply.error) {
			const char *code = json_get_string(reply.error, "code");

			(void)str_copy(r->code, sizeof(r->code), code ? code : "");
			return remote_error(reply.error, err);
		}
		*ret = reply.ok;
		return 0;
	}
	return n;
}
