/* criu's RPC: one message a packet, request and response; a step ("notify") is a response that wants
 * one more request as its acknowledgement. */
#include "bin/runtime/criu.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "bin/runtime/program.h"

#define MESSAGE_SIZE_MAX ((size_t)1 << 20)
#define SWRK_FD          "3"
#define REQUEST_NOTIFY   6

enum wire { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_BYTES = 2, WIRE_I32 = 5 };

/* -- writing ------------------------------------------------------------------------------- */

static void add_varint(struct strbuf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		strbuf_addc(b, (char)(v | 0x80));
	strbuf_addc(b, (char)v);
}

static void add_tag(struct strbuf *b, unsigned field, enum wire wire)
{
	add_varint(b, (uint64_t)field << 3 | wire);
}

static void add_bytes(struct strbuf *b, unsigned field, const void *data, size_t len)
{
	add_tag(b, field, WIRE_BYTES);
	add_varint(b, len);
	strbuf_add(b, data, len);
}

void criu_add_int(struct strbuf *b, unsigned field, int64_t v)
{
	add_tag(b, field, WIRE_VARINT);
	add_varint(b, (uint64_t)v); /* negative ones are ten bytes long */
}

void criu_add_string(struct strbuf *b, unsigned field, const char *s)
{
	add_bytes(b, field, s, strlen(s));
}

void criu_add_pair(struct strbuf *b, unsigned field, const char *first, const char *second)
{
	autostrbuf struct strbuf pair = STRBUF_INIT(MESSAGE_SIZE_MAX);

	criu_add_string(&pair, 1, first);
	criu_add_string(&pair, 2, second);
	add_bytes(b, field, pair.s, pair.len);
}

void criu_add_inherit_fd(struct strbuf *b, const char *key, int fd)
{
	autostrbuf struct strbuf message = STRBUF_INIT(MESSAGE_SIZE_MAX);

	criu_add_string(&message, 1, key);
	criu_add_int(&message, 2, fd);
	add_bytes(b, CRIU_INHERIT_FD, message.s, message.len);
}

void criu_add_page_server(struct strbuf *b, const char *address, int port)
{
	autostrbuf struct strbuf message = STRBUF_INIT(MESSAGE_SIZE_MAX);

	criu_add_string(&message, 1, address);
	criu_add_int(&message, 2, port);
	add_bytes(b, CRIU_PAGE_SERVER, message.s, message.len);
}

/* -- reading ------------------------------------------------------------------------------- */

struct reader {
	const unsigned char *p, *end;
};

struct field {
	unsigned number;
	uint64_t value;      /* of a varint */
	struct reader bytes; /* of strings and messages */
};

static bool read_varint(struct reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		unsigned char c = *r->p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* The next field; false at the end, and at what is no message (then r->p != r->end). */
static bool read_field(struct reader *r, struct field *ret)
{
	uint64_t tag, len;

	*ret = (struct field){0};
	if (r->p == r->end || !read_varint(r, &tag))
		return false;
	ret->number = (unsigned)(tag >> 3);
	switch ((enum wire)(tag & 7)) {
	case WIRE_VARINT:
		return read_varint(r, &ret->value);
	case WIRE_BYTES:
		if (!read_varint(r, &len) || len > (uint64_t)(r->end - r->p))
			return false;
		break;
	case WIRE_I64:
	case WIRE_I32:
		len = (tag & 7) == WIRE_I64 ? 8 : 4;
		if (len > (uint64_t)(r->end - r->p))
			return false;
		break;
	default:
		return false;
	}
	ret->bytes = (struct reader){r->p, r->p + len};
	r->p += len;
	return true;
}

struct response {
	unsigned type;
	bool success;
	pid_t pid; /* restore's, or the step's */
	int cr_errno;
	char step[64];
};

static void copy_text(const struct reader *bytes, char *ret, size_t size)
{
	size_t n = (size_t)(bytes->end - bytes->p);

	if (n >= size)
		n = size - 1;
	memcpy(ret, bytes->p, n);
	ret[n] = '\0';
}

/* criu_notify {script = 1, pid = 2}, criu_restore_resp {pid = 1} */
static void parse_inner(struct reader r, unsigned pid_number, struct response *ret)
{
	struct field f;

	while (read_field(&r, &f)) {
		if (f.number == pid_number)
			ret->pid = (pid_t)f.value;
		else if (f.number == 1)
			copy_text(&f.bytes, ret->step, sizeof(ret->step));
	}
}

static int parse_response(const void *data, size_t len, struct response *ret)
{
	struct reader r = {data, (const unsigned char *)data + len};
	struct field f;

	*ret = (struct response){0};
	while (read_field(&r, &f)) {
		switch (f.number) {
		case 1:
			ret->type = (unsigned)f.value;
			break;
		case 2:
			ret->success = f.value;
			break;
		case 4:
			parse_inner(f.bytes, 1, ret);
			break;
		case 5:
			parse_inner(f.bytes, 2, ret);
			break;
		case 7:
			ret->cr_errno = (int)f.value;
			break;
		default:
			break; /* newer ones */
		}
	}
	return r.p == r.end ? 0 : -EBADMSG;
}

/* -- the conversation ---------------------------------------------------------------------- */

int criu_start(struct criu *c, const char *program, const struct criu_inherited *fds, size_t n,
	       struct error *err)
{
	autofree char *path = program_find(program ? program : "criu");
	static const char *const argv[] = {"criu", "swrk", SWRK_FD, NULL};
	autofree struct spawn_fd *list = xnew0n(struct spawn_fd, n + 4);
	struct spawn_args args = {.path = path, .exec_fd = -EBADF, .argv = argv, .fds = list};
	int pair[2], r;

	if (!path)
		return error_set(
			err, ERROR_UNAVAILABLE, 0,
			"CRIU version check failed: exec: \"%s\": executable file not found "
			"in $PATH",
			program ? program : "criu");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a socket pair");
	for (int i = 0; i < 3; i++)
		list[args.fd_count++] = (struct spawn_fd){i, i};
	list[args.fd_count++] = (struct spawn_fd){pair[1], 3};
	for (size_t i = 0; i < n; i++)
		list[args.fd_count++] = (struct spawn_fd){fds[i].fd, fds[i].criu_fd};
	c->sock = pair[0];
	r = spawn(&args, &c->pid, NULL, err);
	fd_close(&pair[1]);
	if (r < 0)
		fd_close(&c->sock);
	return r;
}

static int send_request(struct criu *c, unsigned type, const struct strbuf *opts, struct error *err)
{
	autostrbuf struct strbuf message = STRBUF_INIT(MESSAGE_SIZE_MAX);
	int r;

	criu_add_int(&message, 1, type);
	if (opts)
		add_bytes(&message, 2, opts->s, opts->len);
	else
		criu_add_int(&message, 3, true); /* notify_success */
	r = strbuf_error(&message);
	if (r == 0 && (!opts || (r = strbuf_error(opts)) == 0))
		r = fd_send(c->sock, message.s, message.len, NULL, 0);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "send a request to criu") : 0;
}

static int receive(struct criu *c, struct response *ret, int *ret_fd, struct error *err)
{
	autofree char *buf = xnew0n(char, 64 << 10);
	size_t n_fds = 1;
	ssize_t n;
	int r;

	*ret_fd = -EBADF;
	n = fd_recv(c->sock, buf, 64 << 10, ret_fd, &n_fds);
	if (n_fds == 0)
		*ret_fd = -EBADF;
	if (n <= 0)
		return error_set(err, ERROR_INTERNAL, n < 0 ? (int)-n : 0,
				 "criu has ended without an answer");
	r = parse_response(buf, (size_t)n, ret);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "answer of criu") : 0;
}

static int serve_step(struct criu *c, const struct response *response, int fd, struct error *err)
{
	int r = c->on_step ? c->on_step(c->data, response->step, response->pid, fd, err) : 0;

	log_debug("criu: %s", response->step);
	return r < 0 ? r : send_request(c, REQUEST_NOTIFY, NULL, err);
}

int criu_call(struct criu *c, enum criu_request request, const struct strbuf *opts, pid_t *ret_pid,
	      struct error *err)
{
	int r = send_request(c, request, opts, err);

	while (r == 0) {
		struct response response = {0};
		autoclose int fd = -EBADF;

		r = receive(c, &response, &fd, err);
		if (r < 0)
			break;
		if (!response.success)
			return error_set(err, ERROR_INTERNAL,
					 response.cr_errno > 0 ? response.cr_errno : 0,
					 "criu failed");
		if (response.type == REQUEST_NOTIFY) {
			r = serve_step(c, &response, fd, err);
			continue;
		}
		if (response.type != (unsigned)request)
			return error_set(err, ERROR_INTERNAL, EBADMSG, "answer of criu");
		if (ret_pid)
			*ret_pid = response.pid;
		return 0;
	}
	return r;
}

void criu_stop(struct criu *c)
{
	if (c->pid <= 0)
		return;
	fd_close(
		&c->sock); /* it ends when nobody talks to it any more, and undoes what is not done */
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}
