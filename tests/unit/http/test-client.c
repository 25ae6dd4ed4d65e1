/* The client against the server: over a unix socket, and over TCP with TLS. */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "certs.h"
#include "http/client.h"

#define MIB ((size_t)1 << 20)

static struct mailbox parked = MAILBOX_INIT, gone = MAILBOX_INIT;

/* ---- the server ------------------------------------------------------------------------------ */

static void count(struct http_request *req, void *data)
{
	uint64_t total = 0;
	char buf[10000], text[64];
	ssize_t n;

	(void)data;
	while ((n = http_body_read(req, buf, sizeof(buf))) > 0)
		total += (uint64_t)n;
	(void)snprintf(text, sizeof(text), "%lld %llu", (long long)n, (unsigned long long)total);
	http_respond(req, 200, "Text/Plain; charset=utf-8", text, strlen(text));
}

/* Answers with as many bytes as come, while they come. */
static void echo(struct http_request *req, void *data)
{
	static char buf[10000];
	ssize_t n = 0;
	int r;

	(void)data;
	r = http_start(req, 200, "application/octet-stream");
	while (r == 0 && (n = http_body_read(req, buf, sizeof(buf))) > 0)
		r = http_write(req, buf, (size_t)n);
	if (r == 0 && n == 0)
		(void)http_end(req);
	else
		http_abort(req);
}

static void stream(struct http_request *req, void *data)
{
	static char block[100000];
	int r;

	(void)data;
	memset(block, 'x', sizeof(block));
	r = http_start(req, 200, "application/octet-stream");
	for (int i = 0; i < 30 && r == 0; i++)
		r = http_write(req, block, sizeof(block));
	if (r == 0)
		(void)http_end(req);
}

static void hijack(struct http_request *req, void *data)
{
	struct http_hijacked *h = xnew0(struct http_hijacked);

	(void)data;
	assert(http_hijack(req, NULL, h, NULL) == 0);
	mailbox_put(&parked, h);
}

static void detach(struct http_request *req, void *data)
{
	struct http_hijacked *h = xnew0(struct http_hijacked);

	(void)data;
	assert(http_detach(req, 200, "application/json", h, NULL) == 0);
	mailbox_put(&parked, h);
}

static void on_gone(struct http_request *req, void *data)
{
	(void)req;
	mailbox_put(&gone, data);
}

static void park(struct http_request *req, void *data)
{
	(void)data;
	http_request_on_close(req, on_gone, &gone);
	mailbox_put(&parked, req);
}

static void work_count(struct http_request *req, void *data)
{
	http_request_work(req, count, data);
}

static void work_echo(struct http_request *req, void *data)
{
	http_request_work(req, echo, data);
}

static void work_stream(struct http_request *req, void *data)
{
	http_request_work(req, stream, data);
}

static void work_hijack(struct http_request *req, void *data)
{
	http_request_work(req, hijack, data);
}

static void last(struct http_request *req, void *data)
{
	(void)data;
	http_respond(req, 200, NULL, "bye", 3);
}

static void close_after(struct http_request *req, void *data)
{
	/* The client does not know that this connection will end. */
	(void)http_start_length(req, 200, NULL, 3);
	(void)http_write(req, "bye", 3);
	(void)data;
	http_abort(req);
}

static const struct {
	const char *path;
	http_handler_fn fn;
} routes[] = {
	{"/count", work_count}, {"/stream", work_stream},      {"/hijack", hijack},
	{"/park", park},        {"/detach", detach},           {"/hijack-work", work_hijack},
	{"/last", last},        {"/close-after", close_after}, {"/echo", work_echo},
};

static void on_request(struct http_request *req, void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].path, http_request_path(req)) == 0) {
			routes[i].fn(req, data);
			return;
		}
	}
	http_respond(req, 404, "application/json", "{\"message\":\"no\"}", 16);
}

/* ---- set-up: the same tests over both transports ---------------------------------------------- */

struct setup {
	struct fixture f;
	struct http_address address;
	struct tls *client_tls;
	struct http_client *client;
	char file[6][64];
};
enum { CA, CA_KEY, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY };

static void make_certs(struct setup *s)
{
	struct cert ca = cert_new(NULL, "test authority", NULL);
	struct cert server = cert_new(&ca, "server", "IP:127.0.0.1");
	struct cert client = cert_new(&ca, "client", NULL);
	static const char *const names[] = {"ca",         "ca-key", "server",
					    "server-key", "client", "client-key"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)snprintf(s->file[i], sizeof(s->file[i]), "%s/%s", s->f.dir, names[i]);
	cert_write(&ca, s->file[CA], s->file[CA_KEY]);
	cert_write(&server, s->file[SERVER], s->file[SERVER_KEY]);
	cert_write(&client, s->file[CLIENT], s->file[CLIENT_KEY]);
	cert_done(&ca);
	cert_done(&server);
	cert_done(&client);
}

static struct setup *set_up_server(void)
{
	struct http_server_args args = {.on_request = on_request};
	struct setup *s = xnew0(struct setup);

	fixture_start(&s->f, &args);
	return s;
}

static int set_up_unix(void **state)
{
	struct setup *s = set_up_server();
	struct http_client_args args = {.address = &s->address};

	s->address = (struct http_address){.kind = HTTP_ADDRESS_UNIX, .path = xstrdup(s->f.path)};
	assert_int_equal(http_client_new(&args, &s->client, NULL), 0);
	*state = s;
	return 0;
}

struct listen_call {
	struct fixture *f;
	int fd;
};

static void listen_tls(void *data)
{
	struct listen_call *c = data;

	assert(http_server_listen(c->f->server, c->fd, c->f->tls, NULL) == 0);
}

static int set_up_tls(void **state)
{
	struct setup *s = set_up_server();
	struct http_client_args args = {.address = &s->address};
	struct http_address any = {.kind = HTTP_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
	autolisten_fds struct listen_fds fds = {0};
	struct listen_args la = {.gid = (gid_t)-1};
	struct listen_call call = {.f = &s->f};
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	make_certs(s);
	assert_int_equal(tls_new_server(&(struct tls_args){.ca = s->file[CA],
							   .cert = s->file[SERVER],
							   .key = s->file[SERVER_KEY],
							   .verify = true},
					&s->f.tls, NULL),
			 0);
	assert_int_equal(tls_new_client(&(struct tls_args){.ca = s->file[CA],
							   .cert = s->file[CLIENT],
							   .key = s->file[CLIENT_KEY],
							   .verify = true},
					&s->client_tls, NULL),
			 0);
	assert_int_equal(listen_open(&any, &la, &fds, NULL), 0);
	assert_int_equal(fds.n, 1);
	assert_int_equal(getsockname(fds.fds[0], (struct sockaddr *)&sin, &len), 0);
	call.fd = listen_fds_take(&fds, 0);
	loop_call(s->f.loop, listen_tls, &call);

	s->address = (struct http_address){.kind = HTTP_ADDRESS_TCP,
					   .host = xstrdup("127.0.0.1"),
					   .port = ntohs(sin.sin_port)};
	args.tls = s->client_tls;
	assert_int_equal(http_client_new(&args, &s->client, NULL), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct setup *s = *state;

	(void)http_client_free(s->client);
	(void)tls_unref(s->client_tls);
	http_address_done(&s->address);
	for (size_t i = 0; i < ARRAY_SIZE(s->file); i++)
		if (*s->file[i])
			(void)unlink(s->file[i]);
	fixture_stop(&s->f);
	free(s);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static struct http_response *request(struct setup *s, const struct http_client_request *req)
{
	autoerror struct error err = {0};
	struct http_response *r = NULL;

	if (http_client_send(s->client, req, &r, &err) < 0)
		fail_msg("%s", error_msg(&err));
	return r;
}

static void assert_body(struct http_response *r, const char *want)
{
	autoerror struct error err = {0};
	autofree char *body = NULL;
	size_t len = 0;

	if (http_response_read_all(r, 10 * MIB, &body, &len, &err) < 0)
		fail_msg("%s", error_msg(&err));
	assert_string_equal(body, want);
	assert_int_equal(len, strlen(want));
}

static void test_reuse(void **state)
{
	struct setup *s = *state;
	int fd = -1;

	for (int i = 0; i < 3; i++) {
		autohttp_response struct http_response *r = request(
			s, &(struct http_client_request){.method = "POST", .target = "/count"});

		assert_int_equal(http_response_status(r), 200);
		assert_string_equal(http_response_content_type(r), "text/plain");
		assert_string_equal(http_response_header(r, "content-LENGTH"), "3");
		if (i > 0)
			assert_int_equal(http_client_fd(s->client), fd);
		fd = http_client_fd(s->client);
		if (i != 1) /* a short rest is skipped */
			assert_body(r, "0 0");
	}
}

/* The server ends the connection behind the client's back. */
static void test_reconnect(void **state)
{
	struct setup *s = *state;

	for (int i = 0; i < 3; i++) {
		autohttp_response struct http_response *r =
			request(s, &(struct http_client_request){.method = "GET",
								 .target = "/close-after"});

		assert_body(r, "bye");
	}
}

struct source {
	size_t left;
};

static ssize_t read_source(void *data, void *buf, size_t size)
{
	struct source *src = data;

	if (size > src->left)
		size = src->left;
	memset(buf, 's', size);
	src->left -= size;
	return (ssize_t)size;
}

static void test_uploads(void **state)
{
	struct setup *s = *state;
	autofree char *data = xcalloc(1, 3 * MIB);
	struct http_client_request req = {.method = "PUT", .target = "/count"};

	for (int expect = 0; expect < 2; expect++) {
		struct source src = {.left = 3 * MIB};
		autohttp_response struct http_response *memory = NULL, *chunked = NULL,
						       *length = NULL;

		req = (struct http_client_request){.method = "PUT",
						   .target = "/count",
						   .expect_continue = expect,
						   .body = data,
						   .body_len = 3 * MIB};
		memory = request(s, &req);
		assert_body(memory, "0 3145728");
		memory = http_response_free(memory);

		req.body = NULL;
		req.body_len = 0;
		req.read_body = read_source;
		req.read_data = &src;
		chunked = request(s, &req);
		assert_body(chunked, "0 3145728");
		chunked = http_response_free(chunked);

		src.left = 3 * MIB;
		req.read_length = src.left;
		req.read_length_known = true;
		length = request(s, &req);
		assert_body(length, "0 3145728");
	}
}

static void test_upload_refused(void **state)
{
	struct setup *s = *state;
	struct source src = {.left = SIZE_MAX};

	for (int expect = 0; expect < 2; expect++) {
		struct http_client_request req = {.method = "POST",
						  .target = "/nowhere",
						  .read_body = read_source,
						  .read_data = &src,
						  .expect_continue = expect};
		autohttp_response struct http_response *r = request(s, &req);

		assert_int_equal(http_response_status(r), 404);
		assert_string_equal(http_response_content_type(r), "application/json");
		assert_body(r, "{\"message\":\"no\"}");
	}
}

/* An answer that comes while the body is still sent, and is as large: neither side may wait for the other. */
static void test_upload_answered_meanwhile(void **state)
{
	struct setup *s = *state;
	struct source src = {.left = 8 * MIB};
	struct http_client_request req = {
		.method = "POST", .target = "/echo", .read_body = read_source, .read_data = &src};
	autohttp_response struct http_response *r = request(s, &req);
	autofree char *body = NULL;
	size_t len = 0;

	assert_int_equal(http_response_status(r), 200);
	assert_int_equal(http_response_read_all(r, 9 * MIB, &body, &len, NULL), 0);
	assert_int_equal(len, 8 * MIB);
	assert_int_equal(src.left, 0);
}

static ssize_t read_broken(void *data, void *buf, size_t size)
{
	(void)data;
	(void)buf;
	(void)size;
	return -ENODATA;
}

static void test_upload_source_fails(void **state)
{
	struct setup *s = *state;
	struct http_client_request req = {
		.method = "POST", .target = "/count", .read_body = read_broken};
	autoerror struct error err = {0};
	struct http_response *r = NULL;

	assert_int_equal(http_client_send(s->client, &req, &r, &err), -ENODATA);
	assert_null(r);
}

static void test_download(void **state)
{
	struct setup *s = *state;
	autohttp_response struct http_response *r =
		request(s, &(struct http_client_request){.method = "GET", .target = "/stream"});
	autofree char *body = NULL;
	size_t len = 0;

	assert_int_equal(http_response_read_all(r, 10 * MIB, &body, &len, NULL), 0);
	assert_int_equal(len, 3000000);
	r = http_response_free(r);
	/* left half-read, the connection is given up */
	r = request(s, &(struct http_client_request){.method = "GET", .target = "/stream"});
	r = http_response_free(r);
	r = request(s, &(struct http_client_request){.method = "HEAD", .target = "/last"});
	assert_string_equal(http_response_header(r, "Content-Length"), "3");
	assert_body(r, "");
}

static void read_exactly(int fd, const char *want)
{
	autofree char *buf = xcalloc(1, strlen(want) + 1);

	assert_int_equal(fd_read_full(fd, buf, strlen(want)), (int)strlen(want));
	assert_string_equal(buf, want);
}

/* Both directions, half-close each way, in the order that `attach` has: stdin first. */
static void carry(int client, int server)
{
	autofree char *big = xcalloc(1, 500000);
	char buf[16];

	assert_int_equal(fd_set_nonblock(server, false), 0);
	memset(big, 'b', 499999);
	assert_int_equal(send(client, "stdin", 5, 0), 5);
	read_exactly(server, "stdin");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(recv(server, buf, sizeof(buf), 0), 0);
	for (int i = 0; i < 10; i++) {
		char part[50000];

		memcpy(part, big, sizeof(part));
		assert_int_equal(send(server, part, sizeof(part) / 10, 0), sizeof(part) / 10);
		big[sizeof(part) / 10] = '\0';
		read_exactly(client, big);
		big[sizeof(part) / 10] = 'b';
	}
}

static void test_hijack(void **state)
{
	static const char *const targets[] = {"/hijack", "/hijack-work"};
	struct setup *s = *state;

	for (int i = 0; i < 4; i++) {
		struct http_client_request req = {
			.method = "POST", .target = targets[i % 2], .upgrade = i < 2};
		autohttp_response struct http_response *r = request(s, &req);
		autofree struct http_hijacked *h = mailbox_get(&parked);
		struct http_client_raw raw;
		char buf[16];

		assert_int_equal(http_response_status(r), i < 2 ? 101 : 200);
		assert_int_equal(h->is_tls, s->client_tls != NULL);
		assert_int_equal(http_response_hijack(r, &raw, NULL), 0);
		assert_int_equal(raw.len, 0);
		carry(raw.fd, h->fd);
		if (i % 2) { /* the server ends */
			http_hijacked_done(h);
			assert_int_equal(recv(raw.fd, buf, sizeof(buf), 0), 0);
			fd_close(&raw.fd);
		} else { /* the server half-closes */
			assert_int_equal(shutdown(h->fd, SHUT_WR), 0);
			assert_int_equal(recv(raw.fd, buf, sizeof(buf), 0), 0);
			fd_close(&raw.fd);
			http_hijacked_done(h);
		}
	}
}

/* The server's half-close first: the client may go on sending. */
static void test_hijack_other_way(void **state)
{
	struct setup *s = *state;
	struct http_client_request req = {.method = "POST", .target = "/hijack", .upgrade = true};
	autohttp_response struct http_response *r = request(s, &req);
	autofree struct http_hijacked *h = mailbox_get(&parked);
	struct http_client_raw raw;
	char buf[16];

	assert_int_equal(http_response_hijack(r, &raw, NULL), 0);
	assert_int_equal(fd_set_nonblock(h->fd, false), 0);
	assert_int_equal(shutdown(h->fd, SHUT_WR), 0);
	assert_int_equal(recv(raw.fd, buf, sizeof(buf), 0), 0);
	assert_int_equal(send(raw.fd, "still", 5, 0), 5);
	read_exactly(h->fd, "still");
	/* and a client that goes away altogether is the end */
	fd_close(&raw.fd);
	assert_int_equal(recv(h->fd, buf, sizeof(buf), 0), 0);
	http_hijacked_done(h);
}

static void test_not_hijacked(void **state)
{
	struct setup *s = *state;
	struct http_client_request req = {.method = "POST", .target = "/none", .upgrade = true};
	autohttp_response struct http_response *r = request(s, &req);
	autoerror struct error err = {0};
	struct http_client_raw raw;

	assert_int_equal(http_response_status(r), 404);
	assert_true(http_response_hijack(r, &raw, &err) < 0);
	assert_body(r, "{\"message\":\"no\"}");
}

/* As for wait: the head is there at once, the rest comes from elsewhere. */
static void test_detach(void **state)
{
	struct setup *s = *state;
	autohttp_response struct http_response *r =
		request(s, &(struct http_client_request){.method = "POST", .target = "/detach"});
	autofree struct http_hijacked *h = mailbox_get(&parked);

	assert_int_equal(http_response_status(r), 200);
	assert_false(http_response_pending(r));
	assert_int_equal(send(h->fd, "10\r\n{\"StatusCode\":0}\r\n0\r\n\r\n", 27, 0), 27);
	http_hijacked_done(h);
	assert_body(r, "{\"StatusCode\":0}");
}

static void interrupt(void *data)
{
	struct setup *s = data;

	(void)mailbox_get(&parked);
	http_client_interrupt(s->client);
}

static void *interrupt_thread(void *data)
{
	interrupt(data);
	return NULL;
}

static void test_interrupt(void **state)
{
	struct setup *s = *state;
	struct http_client_request req = {.method = "GET", .target = "/park"};
	autoerror struct error err = {0};
	struct http_response *r = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, interrupt_thread, s), 0);
	assert_int_equal(http_client_send(s->client, &req, &r, &err), -ECANCELED);
	(void)pthread_join(thread, NULL);
	s->client = http_client_free(s->client);
	if (!s->client_tls) /* over TCP a close looks like a half-close */
		assert_ptr_equal(mailbox_get(&gone), &gone);
}

static void test_bad_requests(void **state)
{
	static const struct http_header smuggled = {.name = "X", .value = "a\r\nY: b"};
	static const struct http_client_request bad[] = {
		{.method = "GET", .target = "/a b"},
		{.method = "GET", .target = "/a\r\nX: y"},
		{.method = "GET", .target = "a"},
		{.method = "G T", .target = "/"},
		{.method = "GET", .target = "/", .headers = &smuggled, .n_headers = 1},
	};
	struct setup *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoerror struct error err = {0};
		struct http_response *r = NULL;

		assert_true(http_client_send(s->client, &bad[i], &r, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void test_nobody_there(void **state)
{
	struct http_address a = {.kind = HTTP_ADDRESS_UNIX, .path = (char *)"/nonexistent/s"};
	struct http_client_args args = {.address = &a};
	struct http_client_request req = {.method = "GET", .target = "/"};
	autohttp_client struct http_client *c = NULL;
	autoerror struct error err = {0};
	struct http_response *r = NULL;

	(void)state;
	assert_int_equal(http_client_new(&args, &c, NULL), 0);
	assert_int_equal(http_client_send(c, &req, &r, &err), -ENOENT);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_non_null(strstr(error_msg(&err), "/nonexistent/s"));
}

/* A client without a certificate, one that trusts nobody here, and one that speaks no TLS. */
static void test_tls_refused(void **state)
{
	struct setup *s = *state;
	const struct tls_args bad[] = {
		{.ca = s->file[CA], .verify = true},
		{.ca = s->file[CLIENT],
		 .cert = s->file[CLIENT],
		 .key = s->file[CLIENT_KEY],
		 .verify = true},
	};
	struct http_client_request req = {.method = "GET", .target = "/last"};

	for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
		struct http_client_args args = {.address = &s->address};
		autoerror struct error err = {0};
		autotls struct tls *tls = NULL;
		autohttp_client struct http_client *c = NULL;
		struct http_response *r = NULL;

		if (i < ARRAY_SIZE(bad))
			assert_int_equal(tls_new_client(&bad[i], &tls, NULL), 0);
		args.tls = tls;
		assert_int_equal(http_client_new(&args, &c, NULL), 0);
		assert_true(http_client_send(c, &req, &r, &err) < 0);
		assert_null(r);
	}
}

static void test_tls_wrong_name(void **state)
{
	struct setup *s = *state;
	struct http_address other = {
		.kind = HTTP_ADDRESS_TCP, .host = (char *)"127.0.0.2", .port = s->address.port};
	struct http_client_args args = {.address = &other, .tls = s->client_tls};
	struct http_client_request req = {.method = "GET", .target = "/last"};
	autohttp_client struct http_client *c = NULL;
	autolisten_fds struct listen_fds fds = {0};
	struct listen_args la = {.gid = (gid_t)-1};
	struct listen_call call = {.f = &s->f};
	autoerror struct error err = {0};
	struct http_response *r = NULL;

	assert_int_equal(listen_open(&other, &la, &fds, NULL), 0);
	call.fd = listen_fds_take(&fds, 0);
	loop_call(s->f.loop, listen_tls, &call);
	assert_int_equal(http_client_new(&args, &c, NULL), 0);
	assert_true(http_client_send(c, &req, &r, &err) < 0);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_non_null(strstr(error_msg(&err), "mismatch"));
}

static void test_tls_bad_files(void **state)
{
	struct setup *s = *state;
	const struct tls_args bad[] = {
		{.cert = s->file[SERVER]},
		{.cert = s->file[SERVER], .key = s->file[CLIENT_KEY]},
		{.cert = "/nonexistent", .key = s->file[SERVER_KEY]},
		{.cert = s->file[SERVER], .key = s->file[SERVER_KEY], .verify = true},
		{.cert = s->file[SERVER],
		 .key = s->file[SERVER_KEY],
		 .ca = "/nonexistent",
		 .verify = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoerror struct error err = {0};
		struct tls *tls = NULL;

		assert_true(tls_new_server(&bad[i], &tls, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(tls);
	}
}

#define OVER_UNIX(test) cmocka_unit_test_setup_teardown(test, set_up_unix, tear_down)
#define OVER_TLS(test)  cmocka_unit_test_setup_teardown(test, set_up_tls, tear_down)

int main(void)
{
	static const struct CMUnitTest unix_tests[] = {
		OVER_UNIX(test_reuse),
		OVER_UNIX(test_reconnect),
		OVER_UNIX(test_uploads),
		OVER_UNIX(test_upload_refused),
		OVER_UNIX(test_upload_answered_meanwhile),
		OVER_UNIX(test_upload_source_fails),
		OVER_UNIX(test_download),
		OVER_UNIX(test_hijack),
		OVER_UNIX(test_hijack_other_way),
		OVER_UNIX(test_not_hijacked),
		OVER_UNIX(test_detach),
		OVER_UNIX(test_interrupt),
		OVER_UNIX(test_bad_requests),
		cmocka_unit_test(test_nobody_there),
	};
	static const struct CMUnitTest tls_tests[] = {
		OVER_TLS(test_reuse),
		OVER_TLS(test_reconnect),
		OVER_TLS(test_uploads),
		OVER_TLS(test_upload_refused),
		OVER_TLS(test_upload_answered_meanwhile),
		OVER_TLS(test_download),
		OVER_TLS(test_hijack),
		OVER_TLS(test_hijack_other_way),
		OVER_TLS(test_not_hijacked),
		OVER_TLS(test_detach),
		OVER_TLS(test_interrupt),
		OVER_TLS(test_tls_refused),
		OVER_TLS(test_tls_wrong_name),
		OVER_TLS(test_tls_bad_files),
	};
	int r = cmocka_run_group_tests(unix_tests, NULL, NULL);

	return r ? r : cmocka_run_group_tests(tls_tests, NULL, NULL);
}
