/* The shim's protocol: configurations and messages there and back. */
#include "shim/protocol.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static const char full_config[] =
	"{\"Id\":\"0123\",\"RuntimeDir\":\"/run/x\",\"StateDir\":\"/var/x\",\"SeccompCache\":\"/"
	"c\","
	"\"InitPath\":\"/init\",\"Spec\":{\"ociVersion\":\"1.2.0\",\"n\":18446744073709551615},"
	"\"Lower\":[\"/a\",\"/b\"],\"Upper\":\"/u\",\"Work\":\"/"
	"w\",\"Tty\":true,\"OpenStdin\":true,"
	"\"StdinOnce\":true,\"AutoRemove\":true,\"Rows\":24,\"Cols\":80,"
	"\"Log\":{\"Type\":\"json-file\",\"Path\":\"/var/x/"
	"l\",\"MaxSize\":10000000000,\"MaxFile\":3,"
	"\"Attrs\":{\"k\":\"v\"}},"
	"\"Ports\":[{\"Proto\":\"tcp\",\"HostIp\":\"0.0.0.0\",\"HostPort\":8080,\"HostPortEnd\":"
	"8090,"
	"\"ContainerIp\":\"10.0.0.2\",\"ContainerPort\":80,\"Group\":1},"
	"{\"Proto\":\"udp\",\"HostIp\":\"::\",\"HostPort\":0,\"ContainerPort\":53}],"
	"\"DetachKeys\":\"ctrl-a\",\"ShimCgroup\":\"/docker\"}";

static void check_full(const struct shim_config *c)
{
	const struct shim_port *p = c->ports.v;

	assert_string_equal(c->id, "0123");
	assert_string_equal(c->runtime_dir, "/run/x");
	assert_string_equal(c->state_dir, "/var/x");
	assert_string_equal(c->seccomp_cache, "/c");
	assert_null(c->seccomp_helper);
	assert_string_equal(c->init_path, "/init");
	assert_true(json_uint(json_get(c->spec, "n")) == UINT64_MAX);
	assert_int_equal(c->lower.n, 2);
	assert_string_equal(c->lower.v[1], "/b");
	assert_string_equal(c->upper, "/u");
	assert_string_equal(c->work, "/w");
	assert_true(c->tty && c->open_stdin && c->stdin_once && c->auto_remove);
	assert_int_equal(c->rows, 24);
	assert_int_equal(c->cols, 80);
	assert_string_equal(c->log.type, "json-file");
	assert_true(c->log.max_size == 10000000000);
	assert_int_equal(c->log.max_file, 3);
	assert_string_equal(json_get_string(c->log.attrs, "k"), "v");
	assert_int_equal(c->ports.n, 2);
	assert_string_equal(p[0].proto, "tcp");
	assert_int_equal(p[0].host_port_end, 8090);
	assert_string_equal(p[0].container_ip, "10.0.0.2");
	assert_int_equal(p[0].group, 1);
	assert_string_equal(p[1].host_ip, "::");
	assert_int_equal(p[1].container_port, 53);
	assert_string_equal(c->detach_keys, "ctrl-a");
	assert_string_equal(c->cgroup, "/docker");
}

static void config_round_trip(void **state)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf out = STRBUF_INIT(65536);
	autoerror struct error err = {0};
	struct shim_config c, again;
	struct json_writer w;

	(void)state;
	assert_int_equal(shim_config_parse(a, full_config, strlen(full_config), &c, &err), 0);
	check_full(&c);

	json_writer_init(&w, &out);
	shim_config_write(&w, &c);
	assert_int_equal(shim_config_parse(a, out.s, out.len, &again, &err), 0);
	check_full(&again);
}

static void config_defaults(void **state)
{
	static const char text[] = "{\"Id\":\"0\",\"RuntimeDir\":\"/r\",\"StateDir\":\"/s\","
				   "\"Spec\":{},\"Log\":{\"Type\":\"none\"}}";
	autoarena struct arena *a = arena_new();
	struct shim_config c;

	(void)state;
	assert_int_equal(shim_config_parse(a, text, strlen(text), &c, NULL), 0);
	assert_string_equal(c.detach_keys, "ctrl-p,ctrl-q");
	assert_int_equal(c.log.max_file, 1);
	assert_null(c.upper);
	assert_null(c.cgroup);
	assert_int_equal(c.ports.n, 0);
}

static void config_refusals(void **state)
{
#define HEAD "{\"Id\":\"0\",\"RuntimeDir\":\"/r\",\"StateDir\":\"/s\""
	static const struct {
		const char *text;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{"{", ERROR_INVALID, "line 1"},
		{"{}", ERROR_INVALID, "Id"},
		{HEAD ",\"Log\":{\"Type\":\"none\"}}", ERROR_INVALID, "Spec"},
		{HEAD ",\"Spec\":[],\"Log\":{\"Type\":\"none\"}}", ERROR_INVALID, "Spec"},
		{HEAD ",\"Spec\":{},\"Log\":{\"Type\":\"syslog\"}}", ERROR_NOT_IMPLEMENTED,
		 "syslog"},
		{HEAD ",\"Spec\":{},\"Log\":{\"Type\":\"json-file\",\"Path\":\"l\"}}",
		 ERROR_INVALID, "Log.Path"},
		{HEAD ",\"Spec\":{},\"Upper\":\"/u\",\"Log\":{\"Type\":\"none\"}}", ERROR_INVALID,
		 "Work"},
		{HEAD ",\"Spec\":{},\"Log\":{\"Type\":\"none\"},\"Ports\":[{\"Proto\":\"icmp\","
		      "\"HostIp\":\"::\",\"ContainerPort\":1}]}",
		 ERROR_NOT_IMPLEMENTED, "icmp"},
		{HEAD ",\"Spec\":{},\"Log\":{\"Type\":\"none\"},\"Ports\":[{\"Proto\":\"tcp\","
		      "\"HostIp\":\"::\",\"ContainerPort\":70000}]}",
		 ERROR_INVALID, "out of range"},
		{HEAD ",\"Spec\":{},\"Log\":{\"Type\":\"none\"},\"Ports\":[{\"Proto\":\"tcp\","
		      "\"HostIp\":\"::\",\"HostPort\":9,\"HostPortEnd\":8,\"ContainerPort\":7}]}",
		 ERROR_INVALID, "range"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		struct shim_config c;

		assert_true(shim_config_parse(a, cases[i].text, strlen(cases[i].text), &c, &err) <
			    0);
		assert_int_equal(err.kind, cases[i].kind);
		assert_non_null(strstr(error_msg(&err), cases[i].says));
	}
}

static void send_text(int sock, const char *text, const int *fds, size_t n)
{
	autostrbuf struct strbuf b = STRBUF_INIT(2 * SHIM_MESSAGE_MAX);

	strbuf_adds(&b, text);
	assert_int_equal(shim_message_send(sock, &b, fds, n, NULL), 0);
}

static void messages(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	autoclose int x = -EBADF, y = -EBADF, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pair[2], fds[2] = {null, null};
	struct shim_message m;
	struct stat st, want;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	x = pair[0];
	y = pair[1];

	send_text(x, "{\"op\":\"kill\",\"seq\":7,\"signal\":9}", fds, 2);
	send_text(x,
		  "{\"re\":8,\"error\":{\"kind\":\"conflict\",\"errnum\":2,\"msg\":\"no: gone\"}}",
		  NULL, 0);
	send_text(x, "{\"ev\":\"oom\"}", NULL, 0);
	send_text(x, "{\"ev\":\"oom\",\"op\":\"kill\"}", fds, 1);
	send_text(x, "[]", NULL, 0);
	send_text(x, "{\"re\":9}", NULL, 0);

	assert_int_equal(shim_message_recv(y, a, &m, &err), 1);
	assert_string_equal(m.op, "kill");
	assert_null(m.ev);
	assert_int_equal(m.seq, 7);
	assert_int_equal(json_get_int(m.body, "signal"), 9);
	assert_int_equal(m.fd_count, 2);
	assert_int_equal(fstat(null, &want), 0);
	assert_int_equal(fstat(m.fds[1], &st), 0);
	assert_int_equal(st.st_rdev, want.st_rdev);
	assert_true(fcntl(m.fds[0], F_GETFD) & FD_CLOEXEC);
	shim_message_close_fds(&m);
	assert_int_equal(m.fd_count, 0);

	assert_int_equal(shim_message_recv(y, a, &m, &err), 1);
	assert_true(m.is_reply);
	assert_int_equal(m.seq, 8);
	assert_int_equal(shim_message_error(&m, &err), -ENOENT);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_int_equal(err.errnum, ENOENT);
	assert_string_equal(error_msg(&err), "no: gone");

	assert_int_equal(shim_message_recv(y, a, &m, &err), 1);
	assert_string_equal(m.ev, "oom");
	assert_int_equal(shim_message_error(&m, NULL), 0);

	assert_true(shim_message_recv(y, a, &m, &err) < 0);
	assert_true(shim_message_recv(y, a, &m, &err) < 0);
	assert_int_equal(shim_message_recv(y, a, &m, &err), 1);
	assert_int_equal(m.seq, 9);

	assert_int_equal(fcntl(y, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(shim_message_recv(y, a, &m, &err), -EAGAIN);
	fd_close(&x);
	assert_int_equal(shim_message_recv(y, a, &m, &err), 0);
}

/* What one side writes about an error is what the other side reads. */
static void errors(void **state)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	autoerror struct error err = {0}, back = {0};
	struct shim_message m = {0};
	struct json_writer w;

	(void)state;
	(void)error_set(&err, ERROR_INVALID, EACCES, "execute '%s'", "/x\"y");
	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kuint(&w, "re", 1);
	shim_error_write(&w, &err);
	jw_object_end(&w);

	assert_int_equal(json_parse(a, out.s, out.len, &m.body, NULL), 0);
	assert_int_equal(shim_message_error(&m, &back), -EACCES);
	assert_int_equal(back.kind, ERROR_INVALID);
	assert_string_equal(error_msg(&back), error_msg(&err));
}

static void too_large(void **state)
{
	autoclose int x = -EBADF, y = -EBADF;
	autostrbuf struct strbuf b = STRBUF_INIT(2 * SHIM_MESSAGE_MAX);
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	x = pair[0];
	y = pair[1];
	while (b.len <= SHIM_MESSAGE_MAX)
		strbuf_addc(&b, ' ');
	assert_int_equal(shim_message_send(x, &b, NULL, 0, NULL), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_round_trip),
		cmocka_unit_test(config_defaults),
		cmocka_unit_test(config_refusals),
		cmocka_unit_test(messages),
		cmocka_unit_test(errors),
		cmocka_unit_test(too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
