/* The server over plain unix sockets. */
#include "fixture.h"

#include "base/arena.h"

#define MIB ((size_t)1 << 20)

static struct mailbox parked = MAILBOX_INIT, gone = MAILBOX_INIT, told = MAILBOX_INIT;

/* ---- handlers -------------------------------------------------------------------------------- */

static void respond_str(struct http_request *req, int status, const char *s)
{
	http_respond(req, status, "text/plain", s, strlen(s));
}

static void echo(struct http_request *req, void *data)
{
	size_t len;
	const char *body = http_request_body(req, &len);

	(void)data;
	http_respond(req, 200, "text/plain", body, len);
}

static void on_buffer(struct http_request *req)
{
	http_request_buffer(req, 1000, echo, NULL);
}

/* Answers with how much came and its sum. */
static void count(struct http_request *req, void *data)
{
	uint64_t total = 0, sum = 0;
	char buf[10000], text[64];
	ssize_t n;

	(void)data;
	while ((n = http_body_read(req, buf, sizeof(buf))) > 0) {
		total += (uint64_t)n;
		for (ssize_t i = 0; i < n; i++)
			sum += (unsigned char)buf[i];
	}
	(void)snprintf(text, sizeof(text), "%lld %llu %llu", (long long)n,
		       (unsigned long long)total, (unsigned long long)sum);
	respond_str(req, n < 0 ? 400 : 200, text);
}

static void on_count(struct http_request *req)
{
	http_request_work(req, count, NULL);
}

static void on_count_buffered(struct http_request *req)
{
	http_request_work_buffered(req, 4 * MIB, count, NULL);
}

static void stream(struct http_request *req, void *data)
{
	static char block[100000];
	int r;

	(void)data;
	memset(block, 'x', sizeof(block));
	r = http_start(req, 200, "application/octet-stream");
	for (int i = 0; i < 50 && r == 0; i++)
		r = http_write(req, block, sizeof(block));
	if (r == 0)
		r = http_end(req);
	assert(r == 0);
}

static void on_stream(struct http_request *req)
{
	if (http_query(req, "loop"))
		stream(req, NULL);
	else
		http_request_work(req, stream, NULL);
}

/* Writes until the client is gone, and says so. */
static void flood(struct http_request *req, void *data)
{
	static const char block[65536];
	int r;

	(void)data;
	r = http_start(req, 200, NULL);
	while (r == 0)
		r = http_write(req, block, sizeof(block));
	mailbox_put(&told, (void *)(intptr_t)r);
}

static void on_flood(struct http_request *req)
{
	http_request_work(req, flood, NULL);
}

static void on_gone(struct http_request *req, void *data)
{
	(void)req;
	mailbox_put(&gone, data);
}

static void on_park(struct http_request *req)
{
	if (http_query(req, "on_close"))
		http_request_on_close(req, on_gone, &gone);
	if (http_query(req, "start")) {
		assert(http_start(req, 200, NULL) == 0);
		assert(http_write(req, "first", 5) == 0);
	}
	mailbox_put(&parked, req);
}

static void on_info(struct http_request *req)
{
	struct arena *a = http_request_arena(req);
	struct ucred cred = {0};
	const char *q = http_query(req, "q");

	assert(http_request_peer_cred(req, &cred) == 0);
	respond_str(req, 200,
		    arena_printf(a, "%s|%s|%s|%s|%zu|%d|%s|%d|%s", http_request_method(req),
				 http_request_path(req), http_request_raw_path(req), q ? q : "-",
				 http_query_count(req), http_request_version(req),
				 http_request_content_type(req), cred.pid == getpid(),
				 http_request_peer(req)));
}

static void on_early(struct http_request *req)
{
	http_set_header(req, "X-Early", "a\r\nb");
	respond_str(req, 404, "{\"message\":\"no\"}");
}

static void on_status(struct http_request *req)
{
	uint32_t status = 0;

	assert(str_parse_u32(http_query(req, "s"), &status) == 0);
	respond_str(req, (int)status, "body");
}

static void on_length(struct http_request *req)
{
	assert(http_start_length(req, 200, "application/x-tar", 6) == 0);
	assert(http_write(req, "abc", 3) == 0);
	if (http_query(req, "short"))
		(void)http_end(req);
	else if (http_write(req, "def", 3) == 0)
		(void)http_end(req);
}

static void on_abort(struct http_request *req)
{
	assert(http_start(req, 200, NULL) == 0);
	assert(http_write(req, "part", 4) == 0);
	http_abort(req);
}

static void nothing(struct http_request *req, void *data)
{
	(void)req;
	(void)data;
}

static void on_nothing(struct http_request *req)
{
	http_request_work(req, nothing, NULL);
}

static void back_on_loop(struct http_request *req, void *data)
{
	assert(http_write(req, "loop", 4) == 0);
	assert(data == &parked);
	(void)http_end(req);
}

static void to_loop(struct http_request *req, void *data)
{
	assert(http_start(req, 200, NULL) == 0);
	assert(http_write(req, "worker ", 7) == 0);
	http_request_loop(req, back_on_loop, data);
}

static void on_back(struct http_request *req)
{
	http_request_work(req, to_loop, &parked);
}

/* The hijacked connection, on the heap, goes to the test. */
static void hijack(struct http_request *req, void *data)
{
	struct http_hijacked *h = xnew0(struct http_hijacked);
	int r;

	if (data)
		r = http_detach(req, 200, "application/json", h, NULL);
	else
		r = http_hijack(req, http_query(req, "type"), h, NULL);
	assert(r == 0);
	mailbox_put(&parked, h);
}

static void on_hijack(struct http_request *req)
{
	if (http_query(req, "body"))
		http_request_buffer(req, 100, hijack, NULL);
	else if (http_query(req, "work"))
		http_request_work(req, hijack, NULL);
	else
		hijack(req, NULL);
}

static void on_detach(struct http_request *req)
{
	if (http_query(req, "work"))
		http_request_work(req, hijack, &parked);
	else
		hijack(req, &parked);
}

static const struct {
	const char *path;
	void (*fn)(struct http_request *req);
} routes[] = {
	{"/buffer", on_buffer}, {"/count", on_count},   {"/count-buffered", on_count_buffered},
	{"/stream", on_stream}, {"/flood", on_flood},   {"/park", on_park},
	{"/info/x y", on_info}, {"/early", on_early},   {"/status", on_status},
	{"/length", on_length}, {"/abort", on_abort},   {"/nothing", on_nothing},
	{"/back", on_back},     {"/hijack", on_hijack}, {"/detach", on_detach},
};

static void on_request(struct http_request *req, void *data)
{
	(void)data;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].path, http_request_path(req)) == 0) {
			routes[i].fn(req);
			return;
		}
	}
	respond_str(req, 404, "no such page");
}

static void on_headers(struct http_request *req, void *data)
{
	(void)data;
	http_set_header(req, "Api-Version", "1.44");
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	static struct fixture f;
	struct http_server_args args = {.on_request = on_request, .on_headers = on_headers};

	f = (struct fixture){0};
	fixture_start(&f, &args);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_stop(*state);
	return 0;
}

static void finish_parked(void *data)
{
	respond_str(data, 200, "late");
}

static void end_parked(void *data)
{
	struct http_request *req = data;

	(void)http_write(req, "second", 6);
	(void)http_end(req);
}

static void assert_has(const struct strbuf *b, const char *s)
{
	if (!strstr(b->s, s))
		fail_msg("no '%s' in '%s'", s, b->s);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_keep_alive(void **state)
{
	autoclose int fd = fixture_connect(*state);

	for (int i = 0; i < 3; i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);

		raw_send(fd, "POST /buffer HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
		raw_read_until(fd, &b, "\r\n\r\nhello");
		assert_int_equal(strncmp(b.s, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_has(&b, "\r\nContent-Length: 5\r\n");
		assert_has(&b, "\r\nContent-Type: text/plain\r\n");
		assert_has(&b, "\r\nApi-Version: 1.44\r\n");
		assert_null(strstr(b.s, "Connection:"));
	}
}

static void test_what_a_request_says(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);

	raw_exchange(*state,
		     "GET http://docker/info%2fx%20y?a=1&q=x+%26&q=2 HTTP/1.1\r\n"
		     "Content-Type: Text/X; a=b\r\nConnection: close\r\n\r\n",
		     &b);
	assert_has(&b, "\r\n\r\nGET|/info/x y|/info%2fx%20y|x &|3|11|text/x|1|unix");
	assert_has(&b, "\r\nConnection: close\r\n");
}

static void test_pipelined(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(100000);
	const char *one, *two, *three;

	raw_exchange(
		*state,
		"POST /buffer HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
		"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\naa\r\n0\r\n\r\n"
		"POST /early HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET "
		"\r\nPOST /buffer HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfour",
		&b);
	one = strstr(b.s, "\r\n\r\none");
	two = strstr(b.s, "\r\n\r\n0 2 194");
	three = strstr(b.s, "\r\n\r\n{\"message\":\"no\"}");
	assert_true(one && two && three && one < two && two < three);
	assert_true(strstr(b.s, "\r\n\r\nfour") > three);
	assert_has(&b, "\r\nX-Early: a  b\r\n");
}

static void test_byte_by_byte(void **state)
{
	static const char s[] = "POST /buffer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
				"Connection: close\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state);

	for (size_t i = 0; i < sizeof(s) - 1; i++)
		assert_int_equal(send(fd, s + i, 1, MSG_NOSIGNAL), 1);
	raw_read_all(fd, &b);
	assert_has(&b, "\r\n\r\nabcd");
}

static void test_malformed(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{"GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400 "},
		{"\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /%zz HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /?a=%00 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
		{"POST /buffer HTTP/1.1\r\nContent-Length: 1001\r\n\r\nx", "HTTP/1.1 413 "},
		{"POST /buffer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		 "HTTP/1.1 400 "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);

		raw_exchange(*state, cases[i].request, &b);
		if (strncmp(b.s, cases[i].status, strlen(cases[i].status)) != 0)
			fail_msg("%s: %s", cases[i].request, b.s);
		assert_has(&b, "\r\nConnection: close\r\n");
		assert_has(&b, "\r\nApi-Version: 1.44\r\n");
		assert_null(strstr(b.s, "Content-Length: 0"));
	}
}

static void test_head_too_large(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autofree char *s = xcalloc(1, 2 * HTTP_HEAD_MAX);
	autoclose int fd = fixture_connect(*state);

	memset(s, 'a', 2 * HTTP_HEAD_MAX - 1);
	memcpy(s, "GET /", 5);
	raw_send(fd, s);
	raw_read_all(fd, &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 431 ", 13), 0);
}

static void test_too_large_chunked(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autostrbuf struct strbuf s = STRBUF_INIT(10000);

	strbuf_adds(&s, "POST /buffer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
	for (int i = 0; i < 1001; i++)
		strbuf_addc(&s, 'x');
	raw_exchange(*state, s.s, &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 413 ", 13), 0);
}

static void test_expect_continue(void **state)
{
	static const char *const paths[] = {"/buffer", "/count", "/count-buffered"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);
		autoclose int fd = fixture_connect(*state);
		autofree char *head = xasprintf("POST %s HTTP/1.1\r\nExpect: 100-continue\r\n"
						"Connection: close\r\nContent-Length: 5\r\n\r\n",
						paths[i]);

		raw_send(fd, head);
		raw_read_until(fd, &b, "HTTP/1.1 100 Continue\r\n\r\n");
		raw_send(fd, "hello");
		raw_read_all(fd, &b);
		assert_has(&b, "HTTP/1.1 200 OK\r\n");
		assert_has(&b, i == 0 ? "\r\n\r\nhello" : "\r\n\r\n0 5 532");
	}
}

/* Refused before the body: no 100, and the connection ends. */
static void test_expect_refused(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);

	raw_exchange(*state,
		     "POST /early HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		     &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 404 ", 13), 0);
	assert_has(&b, "\r\nConnection: close\r\n");
}

static void send_all_of(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

static void test_upload(void **state)
{
	static const char *const paths[] = {"/count", "/count-buffered"};
	autofree char *data = xcalloc(1, 3 * MIB);

	memset(data, 1, 3 * MIB);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);
		autoclose int fd = fixture_connect(*state);
		autofree char *head = xasprintf("PUT %s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
						paths[i], 3 * MIB);

		raw_send(fd, head);
		send_all_of(fd, data, 3 * MIB);
		raw_read_until(fd, &b, "\r\n\r\n0 3145728 3145728");
	}
}

static void test_upload_chunked(void **state)
{
	static const char *const paths[] = {"/count", "/count-buffered"};
	autofree char *data = xcalloc(1, MIB);

	memset(data, 1, MIB);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);
		autoclose int fd = fixture_connect(*state);
		autofree char *head = xasprintf(
			"PUT %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", paths[i]);

		raw_send(fd, head);
		for (int k = 0; k < 3; k++) {
			raw_send(fd, "100000\r\n");
			send_all_of(fd, data, MIB);
			raw_send(fd, "\r\n");
		}
		raw_send(fd, "0\r\n\r\n");
		raw_read_until(fd, &b, "\r\n\r\n0 3145728 3145728");
	}
}

/* Answered while megabytes are still under way: the client gets to read the answer. */
static void test_upload_refused(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autofree char *data = xcalloc(1, 3 * MIB);
	autoclose int fd = fixture_connect(*state);

	raw_send(fd, "PUT /early HTTP/1.1\r\nContent-Length: 3145728\r\n\r\n");
	send_all_of(fd, data, 3 * MIB);
	raw_read_all(fd, &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 404 ", 13), 0);
	assert_has(&b, "\r\nConnection: close\r\n");
}

static void test_upload_cut_off(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state);

	raw_send(fd, "PUT /count HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	raw_read_all(fd, &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 400 ", 13), 0);
	assert_has(&b, "\r\n\r\n-104 3 294"); /* ECONNRESET */
}

static void test_download(void **state)
{
	static const char *const queries[] = {"", "?loop"};

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(8 * MIB);
		autofree char *request = xasprintf(
			"GET /stream%s HTTP/1.1\r\nConnection: close\r\n\r\n", queries[i]);
		size_t n = 0;

		raw_exchange(*state, request, &b);
		assert_has(&b, "\r\nTransfer-Encoding: chunked\r\n");
		assert_true(str_has_suffix(b.s, "\r\n0\r\n\r\n"));
		for (const char *p = strstr(b.s, "\r\n\r\n"); *p; p++)
			n += *p == 'x';
		assert_int_equal(n, 5000000);
	}
}

static void test_http_1_0(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(8 * MIB), k = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state);

	raw_exchange(*state, "GET /stream HTTP/1.0\r\n\r\n", &b);
	assert_null(strstr(b.s, "Transfer-Encoding"));
	assert_int_equal(strlen(strstr(b.s, "\r\n\r\n") + 4), 5000000);

	for (int i = 0; i < 2; i++) {
		strbuf_reset(&k);
		raw_send(fd, "GET /early HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		raw_read_until(fd, &k, "\r\n\r\n{\"message\":\"no\"}");
		assert_has(&k, "\r\nConnection: keep-alive\r\n");
	}
}

static void test_no_body(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state);

	raw_send(fd, "HEAD /status?s=200 HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	assert_has(&b, "\r\nContent-Length: 4\r\n");
	assert_true(str_has_suffix(b.s, "\r\n\r\n"));

	strbuf_reset(&b);
	raw_send(fd, "HEAD /stream HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	assert_true(str_has_suffix(b.s, "\r\n\r\n"));

	strbuf_reset(&b);
	raw_send(fd, "POST /status?s=304 HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	assert_int_equal(strncmp(b.s, "HTTP/1.1 304 Not Modified\r\n", 27), 0);
	assert_null(strstr(b.s, "Content-"));

	strbuf_reset(&b);
	raw_send(fd, "POST /status?s=204 HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	assert_null(strstr(b.s, "Content-"));

	strbuf_reset(&b);
	raw_send(fd, "GET /status?s=200 HTTP/1.1\r\nConnection: close\r\n\r\n");
	raw_read_all(fd, &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_true(str_has_suffix(b.s, "\r\n\r\nbody"));
}

static void test_length(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state);

	raw_send(fd, "GET /length HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\nabcdef");
	assert_has(&b, "\r\nContent-Length: 6\r\n");
	strbuf_reset(&b);
	raw_send(fd, "GET /length?short HTTP/1.1\r\n\r\n");
	raw_read_all(fd, &b); /* only the end tells */
	assert_true(str_has_suffix(b.s, "\r\n\r\nabc"));
}

static void test_abort(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);

	raw_exchange(*state, "GET /abort HTTP/1.1\r\n\r\n", &b);
	assert_true(str_has_suffix(b.s, "4\r\npart\r\n"));
}

static void test_handler_forgets(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);

	raw_exchange(*state, "GET /nothing HTTP/1.1\r\n\r\n", &b);
	assert_int_equal(strncmp(b.s, "HTTP/1.1 500 ", 13), 0);
}

static void test_worker_to_loop(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);

	raw_exchange(*state, "GET /back HTTP/1.1\r\nConnection: close\r\n\r\n", &b);
	assert_true(str_has_suffix(b.s, "7\r\nworker \r\n4\r\nloop\r\n0\r\n\r\n"));
}

/* A client that half-closes its socket still waits for its answer. */
static void test_parked_half_close(void **state)
{
	struct fixture *f = *state;
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(f);
	struct http_request *req;

	raw_send(fd, "GET /park?start&on_close HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "first");
	req = mailbox_get(&parked);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	/* A second connection that is served shows that the loop has seen the half-close. */
	for (int i = 0; i < 3; i++) {
		autostrbuf struct strbuf other = STRBUF_INIT(10000);

		raw_exchange(f, "GET /early HTTP/1.1\r\nConnection: close\r\n\r\n", &other);
	}
	loop_call(f->loop, end_parked, req);
	raw_read_all(fd, &b);
	assert_true(str_has_suffix(b.s, "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"));
}

static void test_parked_client_gone(void **state)
{
	struct fixture *f = *state;
	int fd = fixture_connect(f);

	raw_send(fd, "GET /park?on_close HTTP/1.1\r\n\r\n");
	(void)mailbox_get(&parked);
	(void)close(fd);
	assert_ptr_equal(mailbox_get(&gone), &gone);

	/* half-closed first, then gone */
	fd = fixture_connect(f);
	raw_send(fd, "GET /park?on_close&start HTTP/1.1\r\n\r\n");
	(void)mailbox_get(&parked);
	(void)shutdown(fd, SHUT_WR);
	(void)close(fd);
	assert_ptr_equal(mailbox_get(&gone), &gone);
}

/* Without on_close the request outlives its client. */
static void test_parked_answer_into_the_void(void **state)
{
	struct fixture *f = *state;
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	int fd = fixture_connect(f);
	struct http_request *req;

	raw_send(fd, "GET /park HTTP/1.1\r\n\r\n");
	req = mailbox_get(&parked);
	(void)close(fd);
	raw_exchange(f, "GET /early HTTP/1.1\r\nConnection: close\r\n\r\n", &b);
	loop_call(f->loop, finish_parked, req);
}

static void test_parked_then_pipelined(void **state)
{
	struct fixture *f = *state;
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(f);

	raw_send(fd, "GET /park HTTP/1.1\r\n\r\nGET /early HTTP/1.1\r\nConnection: close\r\n\r\n");
	loop_call(f->loop, finish_parked, mailbox_get(&parked));
	raw_read_all(fd, &b);
	assert_has(&b, "\r\n\r\nlateHTTP/1.1 404 ");
}

struct overflow {
	struct http_request *req;
	int r;
};

static void write_too_much(void *data)
{
	static const char block[MIB];
	struct overflow *o = data;

	for (int i = 0; i < 20 && o->r == 0; i++)
		o->r = http_write(o->req, block, sizeof(block));
}

static void test_slow_reader_is_dropped(void **state)
{
	struct fixture *f = *state;
	autoclose int fd = fixture_connect(f);
	struct overflow o = {0};

	raw_send(fd, "GET /park?start&on_close HTTP/1.1\r\n\r\n");
	o.req = mailbox_get(&parked);
	loop_call(f->loop, write_too_much, &o);
	assert_int_equal(o.r, -E2BIG);
	assert_ptr_equal(mailbox_get(&gone), &gone);
}

static void test_worker_client_gone(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(100000);
	int fd = fixture_connect(*state);

	raw_send(fd, "GET /flood HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	(void)close(fd);
	assert_true((intptr_t)mailbox_get(&told) < 0);
}

/* Stopping while a worker writes to a client that does not read. */
static void test_stop_while_busy(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(100000);
	autoclose int fd = fixture_connect(*state);

	raw_send(fd, "GET /flood HTTP/1.1\r\n\r\n");
	raw_read_until(fd, &b, "\r\n\r\n");
	fixture_stop(*state);
	assert_true((intptr_t)mailbox_get(&told) < 0);
	(void)set_up(state);
}

static void test_stop_while_parked(void **state)
{
	autoclose int fd = fixture_connect(*state);
	autoclose int idle = fixture_connect(*state);

	raw_send(fd, "GET /park?on_close HTTP/1.1\r\n\r\n");
	(void)mailbox_get(&parked);
	fixture_stop(*state);
	assert_ptr_equal(mailbox_get(&gone), &gone);
	(void)set_up(state);
}

static void exchange_raw(int client, struct http_hijacked *h)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	char buf[16];

	assert_int_equal(send(h->fd, "out", 3, 0), 3);
	raw_read_until(client, &b, "out");
	assert_true(str_has_suffix(b.s, "\r\n\r\nout"));
	raw_send(client, "in");
	assert_int_equal(fd_set_nonblock(h->fd, false), 0);
	assert_int_equal(recv(h->fd, buf, sizeof(buf), 0), 2);
	/* half-close by the client, then by us */
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(recv(h->fd, buf, sizeof(buf), 0), 0);
	assert_int_equal(send(h->fd, "more", 4, 0), 4);
	raw_read_until(client, &b, "more");
	fd_close(&h->fd);
	assert_int_equal(recv(client, buf, sizeof(buf), 0), 0);
}

static void test_hijack(void **state)
{
	static const char *const queries[] = {"?", "?work"};

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		autoclose int fd = fixture_connect(*state);
		autofree struct http_hijacked *h = NULL;
		autofree char *request = xasprintf("POST /hijack%s HTTP/1.1\r\n"
						   "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
						   queries[i]);

		raw_send(fd, request);
		h = mailbox_get(&parked);
		assert_false(h->is_tls);
		assert_int_equal(h->len, 0);
		exchange_raw(fd, h);
		http_hijacked_done(h);
	}
}

static void test_hijack_heads(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int fd = fixture_connect(*state), old = fixture_connect(*state);
	autofree struct http_hijacked *h = NULL, *h2 = NULL;

	raw_send(fd, "POST /hijack?type=application/vnd.docker.multiplexed-stream HTTP/1.1\r\n"
		     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	h = mailbox_get(&parked);
	raw_read_until(fd, &b, "\r\n\r\n");
	assert_int_equal(strncmp(b.s, "HTTP/1.1 101 UPGRADED\r\n", 23), 0);
	assert_has(&b, "\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n");
	assert_has(&b, "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n");
	assert_has(&b, "\r\nApi-Version: 1.44\r\n");
	http_hijacked_done(h);

	strbuf_reset(&b);
	raw_send(old, "POST /hijack HTTP/1.1\r\n\r\n");
	h2 = mailbox_get(&parked);
	raw_read_until(old, &b, "\r\n\r\n");
	assert_int_equal(strncmp(b.s, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_has(&b, "\r\nContent-Type: application/vnd.docker.raw-stream\r\n");
	assert_null(strstr(b.s, "Content-Length"));
	assert_null(strstr(b.s, "Transfer-Encoding"));
	http_hijacked_done(h2);
}

/* What came behind the request goes to whoever takes over; a body was read before. */
static void test_hijack_read_ahead(void **state)
{
	autoclose int fd = fixture_connect(*state);
	autofree struct http_hijacked *h = NULL;

	raw_send(fd, "POST /hijack?body HTTP/1.1\r\nContent-Length: 2\r\n"
		     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n{}stdin");
	h = mailbox_get(&parked);
	assert_int_equal(h->len, 5);
	assert_memory_equal(h->data, "stdin", 5);
	exchange_raw(fd, h);
	http_hijacked_done(h);
}

static void test_detach(void **state)
{
	static const char *const queries[] = {"?", "?work"};

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);
		autoclose int fd = fixture_connect(*state);
		autofree struct http_hijacked *h = NULL;
		autofree char *request = xasprintf("POST /detach%s HTTP/1.1\r\n\r\n", queries[i]);

		raw_send(fd, request);
		raw_read_until(fd, &b, "\r\n\r\n"); /* before there is any body */
		assert_has(&b, "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n");
		h = mailbox_get(&parked);
		assert_true(h->chunked);
		assert_int_equal(send(h->fd, "2\r\n{}\r\n0\r\n\r\n", 12, 0), 12);
		http_hijacked_done(h);
		raw_read_all(fd, &b);
		assert_true(str_has_suffix(b.s, "\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
	}
}

static void test_many_connections(void **state)
{
	int fds[200];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = fixture_connect(*state);
		raw_send(fds[i], "POST /count HTTP/1.1\r\nContent-Length: 1\r\n\r\na");
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);

		raw_read_until(fds[i], &b, "\r\n\r\n0 1 97");
		(void)close(fds[i]);
	}
}

/* ---- limits that only a server of its own has ------------------------------------------------ */

/* The head has to come within its time from the connection on: that is the test's own to send it. */
static int set_up_impatient(void **state)
{
	static struct fixture f;
	struct http_server_args args = {.on_request = on_request,
					.head_timeout_ms = 2000,
					.body_timeout_ms = 20,
					.idle_timeout_ms = 20};

	f = (struct fixture){0};
	fixture_start(&f, &args);
	*state = &f;
	return 0;
}

static void test_timeouts(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{"", ""},
		{"GET / HT", "HTTP/1.1 408 "},
		{"POST /buffer HTTP/1.1\r\nContent-Length: 2\r\n\r\na", "HTTP/1.1 408 "},
		{"POST /count HTTP/1.1\r\nContent-Length: 2\r\n\r\na", "HTTP/1.1 400 "},
		{"GET /early HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(10000);

		raw_exchange(*state, cases[i].request, &b);
		assert_int_equal(strncmp(b.s, cases[i].answer, strlen(cases[i].answer)), 0);
		assert_int_equal(b.len == 0, i == 0);
	}
}

static int set_up_small(void **state)
{
	static struct fixture f;
	struct http_server_args args = {.on_request = on_request, .max_connections = 2};

	f = (struct fixture){0};
	fixture_start(&f, &args);
	*state = &f;
	return 0;
}

/* The third waits until one of the first two has ended. */
static void test_max_connections(void **state)
{
	autoclose int one = fixture_connect(*state), two = fixture_connect(*state);
	autostrbuf struct strbuf b = STRBUF_INIT(10000);
	autoclose int three = -EBADF;
	struct pollfd p;

	raw_send(one, "GET /park HTTP/1.1\r\nConnection: close\r\n\r\n");
	raw_send(two, "GET /early HTTP/1.1\r\n\r\n");
	raw_read_until(two, &b, "no\"}");
	three = fixture_connect(*state);
	raw_send(three, "GET /early HTTP/1.1\r\nConnection: close\r\n\r\n");
	/* `two` is served again, twice, while `three` still waits. */
	for (int i = 0; i < 2; i++) {
		strbuf_reset(&b);
		raw_send(two, "GET /early HTTP/1.1\r\n\r\n");
		raw_read_until(two, &b, "no\"}");
	}
	p = (struct pollfd){.fd = three, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	loop_call(((struct fixture *)*state)->loop, finish_parked, mailbox_get(&parked));
	strbuf_reset(&b);
	raw_read_all(three, &b);
	assert_has(&b, "HTTP/1.1 404 ");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep_alive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_request_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pipelined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_head_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_large_chunked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expect_continue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expect_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upload_chunked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upload_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upload_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_download, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_http_1_0, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_abort, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_handler_forgets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_worker_to_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parked_half_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parked_client_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parked_answer_into_the_void, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_parked_then_pipelined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_reader_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_worker_client_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_while_busy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_while_parked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hijack, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hijack_heads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hijack_read_ahead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_detach, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_timeouts, set_up_impatient, tear_down),
		cmocka_unit_test_setup_teardown(test_max_connections, set_up_small, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
