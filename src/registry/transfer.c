/* Requests by libcurl's easy interface. */
#include "registry/transfer.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/sha256.h"

#define CONNECT_TIMEOUT_S 30L
#define REDIRECTS_MAX     10L
#define IDLE_HANDLES_MAX  16
#define BUFFER_SIZE       (256L * 1024)
#define ERROR_BODY_MAX    ((size_t)64 * 1024)

struct transfers {
	char *user_agent, *system_ca; /* owned */
	int64_t stall_s;
	pthread_mutex_t lock;
	CURL *idle[IDLE_HANDLES_MAX]; /* owned */
	size_t n_idle;
};

struct transfers *transfers_new(const struct transfers_args *args)
{
	struct transfers *t = xnew0(struct transfers);

	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	t->user_agent = xstrdup(args->user_agent);
	t->system_ca = args->system_ca ? xstrdup(args->system_ca) : NULL;
	t->stall_s = args->stall_s;
	(void)pthread_mutex_init(&t->lock, NULL);
	return t;
}

struct transfers *transfers_free(struct transfers *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n_idle; i++)
		curl_easy_cleanup(t->idle[i]);
	(void)pthread_mutex_destroy(&t->lock);
	free(t->user_agent);
	free(t->system_ca);
	free(t);
	return NULL;
}

static CURL *take_handle(struct transfers *t)
{
	CURL *h = NULL;

	(void)pthread_mutex_lock(&t->lock);
	if (t->n_idle > 0)
		h = t->idle[--t->n_idle];
	(void)pthread_mutex_unlock(&t->lock);
	return h ? h : curl_easy_init();
}

static void give_handle(struct transfers *t, CURL *h)
{
	curl_easy_reset(h);
	(void)pthread_mutex_lock(&t->lock);
	if (t->n_idle < IDLE_HANDLES_MAX) {
		t->idle[t->n_idle++] = h;
		h = NULL;
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (h)
		curl_easy_cleanup(h);
}

void transfer_response_done(struct transfer_response *r)
{
	strbuf_done(&r->body);
	strv_done(&r->headers);
	free(r->url);
	*r = (struct transfer_response){0};
}

/* ---- callbacks ---- */

struct run {
	const struct transfer_request *req;
	struct transfer_response *ret;
	CURL *handle;
	bool has_begun, is_stopped; /* stopped: by our own side */
	int64_t stall_s;
	curl_off_t moved; /* bytes both ways, when last looked at */
	int64_t moved_ms; /* and when that was more than before */
	bool is_stalled;
};

static size_t on_header(char *p, size_t size, size_t n, void *data)
{
	struct run *run = data;
	size_t len = size * n;

	while (len > 0 && (p[len - 1] == '\r' || p[len - 1] == '\n'))
		len--;
	if (len > 5 && memcmp(p, "HTTP/", 5) == 0) { /* another answer: of a redirect's target */
		strv_done(&run->ret->headers);
		run->ret->headers = (struct strv){0};
	} else if (memchr(p, ':', len) && run->ret->headers.n < TRANSFER_HEADERS_MAX) {
		char *line = xstrndup(p, len);

		for (char *q = line; *q != ':'; q++)
			if (*q >= 'A' && *q <= 'Z')
				*q = (char)(*q - 'A' + 'a');
		strv_add_take(&run->ret->headers, line);
	}
	return size * n;
}

static size_t keep_body(struct run *run, const char *p, size_t len, long status)
{
	struct strbuf *body = &run->ret->body;

	if (status < 200 || status > 299) { /* the beginning is enough to say why */
		size_t room = body->len < ERROR_BODY_MAX ? ERROR_BODY_MAX - body->len : 0;

		strbuf_add(body, p, len < room ? len : room);
		return len;
	}
	strbuf_add(body, p, len);
	return strbuf_error(body) < 0 ? 0 : len;
}

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct run *run = data;
	const struct transfer_request *req = run->req;
	size_t len = size * n;
	long status = 0;

	(void)curl_easy_getinfo(run->handle, CURLINFO_RESPONSE_CODE, &status);
	if (!req->write || status < 200 || status > 299)
		return keep_body(run, p, len, status);
	if (!run->has_begun) {
		run->has_begun = true;
		if (req->begin && req->begin(req->write_data, status,
					     transfer_header(run->ret, "content-range", 0)) < 0) {
			run->is_stopped = true;
			return 0;
		}
	}
	if (req->write(req->write_data, p, len) < 0) {
		run->is_stopped = true;
		return 0;
	}
	return len;
}

static size_t on_read(char *p, size_t size, size_t n, void *data)
{
	struct run *run = data;
	ssize_t got = run->req->read(run->req->read_data, p, size * n);

	if (got < 0) {
		run->is_stopped = true;
		return CURL_READFUNC_ABORT;
	}
	return (size_t)got;
}

/* libcurl's own limit averages over seconds; this one is exact, and the connection's set-up has its own. */
static int on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	int64_t now = clock_monotonic_ns() / 1000000;
	struct run *run = data;

	(void)down_total;
	(void)up_total;
	if (down + up != run->moved || run->moved_ms == 0) {
		run->moved = down + up;
		run->moved_ms = now;
	}
	run->is_stalled = now - run->moved_ms >= run->stall_s * 1000;
	return run->is_stalled;
}

/* ---- options ---- */

static struct curl_blob as_blob(const char *pem)
{
	/* libcurl only reads it. */
	return (struct curl_blob){.data = (void *)(uintptr_t)pem, .len = strlen(pem)};
}

/* The server of this thread's request has asked for our certificate.  Nothing of the request is known to
 * the callback, which lives as long as the connection. */
static _Thread_local bool was_asked;

static int on_asked(SSL *ssl, void *data)
{
	(void)ssl;
	(void)data;
	was_asked = true;
	return 1;
}

static CURLcode on_context(CURL *h, void *context, void *data)
{
	(void)h;
	(void)data;
	SSL_CTX_set_cert_cb(context, on_asked, NULL);
	return CURLE_OK;
}

static void set_tls(struct transfers *t, CURL *h, const struct transfer_tls *tls)
{
	const char *ca = tls && tls->ca ? tls->ca : t->system_ca;
	struct curl_blob blob;

	if (ca) {
		blob = as_blob(ca);
		(void)curl_easy_setopt(h, CURLOPT_CAINFO_BLOB, &blob);
	}
	(void)curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_context);
	if (!tls)
		return;
	if (tls->skip_verify) {
		(void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (tls->cert && tls->key) {
		blob = as_blob(tls->cert);
		(void)curl_easy_setopt(h, CURLOPT_SSLCERT_BLOB, &blob);
		blob = as_blob(tls->key);
		(void)curl_easy_setopt(h, CURLOPT_SSLKEY_BLOB, &blob);
	}
}

static struct curl_slist *make_headers(const struct transfer_request *req)
{
	struct curl_slist *list = NULL;

	for (size_t i = 0; req->headers && i < req->headers->n; i++)
		list = curl_slist_append(list, req->headers->v[i]);
	return curl_slist_append(list, "Expect:");
}

static void set_body(CURL *h, const struct transfer_request *req, struct run *run)
{
	bool is_get = strcmp(req->method, "GET") == 0, is_head = strcmp(req->method, "HEAD") == 0;

	if (req->read) {
		(void)curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
		(void)curl_easy_setopt(h, CURLOPT_READDATA, run);
		(void)curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->read_size);
	} else if (!is_get && !is_head) {
		(void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, req->body ? req->body : "");
		(void)curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
	}
	if (is_head)
		(void)curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	else
		(void)curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, req->method);
	/* An upload's redirect would need its bytes again: the caller's business. */
	(void)curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, is_get || is_head ? 1L : 0L);
}

static void set_options(struct transfers *t, struct run *run, char *message)
{
	const struct transfer_request *req = run->req;
	CURL *h = run->handle;

	(void)curl_easy_setopt(h, CURLOPT_URL, req->url);
	(void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(h, CURLOPT_USERAGENT, t->user_agent);
	(void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(h, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	(void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	(void)curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(h, CURLOPT_XFERINFODATA, run);
	(void)curl_easy_setopt(h, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	(void)curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
	(void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, message);
	(void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(h, CURLOPT_HEADERDATA, run);
	(void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(h, CURLOPT_WRITEDATA, run);
	set_tls(t, h, req->tls);
	set_body(h, req, run);
}

/* ---- failures ---- */

static bool is_retryable(CURLcode code)
{
	static const CURLcode no[] = {
		CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT,
		CURLE_WRITE_ERROR,          CURLE_ABORTED_BY_CALLBACK,
		CURLE_TOO_MANY_REDIRECTS,   CURLE_PEER_FAILED_VERIFICATION,
		CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CACERT_BADFILE,
		CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY,
	};

	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (no[i] == code)
			return false;
	return true;
}

/* "https://host:5000/path" -> "host:5000" */
static char *url_host(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return xstrndup(host, strcspn(host, "/?"));
}

/* As Go's errors begin: "Get" of "GET". */
static char *verb(const char *method)
{
	char *s = xstrdup(method);

	for (size_t i = 1; s[0] && s[i]; i++)
		s[i] = (char)(s[i] | 0x20);
	return s;
}

static bool has_certificate(const struct transfer_request *req)
{
	return req->tls && req->tls->cert && req->tls->key;
}

static int describe(const struct run *run, CURLcode code, const char *message, struct error *err)
{
	static const struct {
		int errnum;
		const char *text;
	} known[] = {{ECONNREFUSED, "connection refused"},
		     {EHOSTUNREACH, "no route to host"},
		     {ENETUNREACH, "network is unreachable"}};
	autofree char *host = url_host(run->req->url), *method = verb(run->req->method);
	long os_errno = 0;

	(void)curl_easy_getinfo(run->handle, CURLINFO_OS_ERRNO, &os_errno);
	for (size_t i = 0; code == CURLE_COULDNT_CONNECT && i < ARRAY_SIZE(known); i++)
		if (known[i].errnum == (int)os_errno)
			return error_set(err, ERROR_UNAVAILABLE, 0,
					 "%s \"%s\": dial tcp %s: connect: %s", method,
					 run->req->url, host, known[i].text);
	if (run->is_stalled)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "%s \"%s\": the server has been silent for %lld seconds", method,
				 run->req->url, (long long)run->stall_s);
	/* TLS 1.3 has the refusal come behind the handshake, or the connection's end before it. */
	if (was_asked && run->ret->status == 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "%s \"%s\": the server asks for a client certificate, and %s: %s",
				 method, run->req->url,
				 has_certificate(run->req) ? "does not take ours"
							   : "certs.d has none for it",
				 message[0] ? message : curl_easy_strerror(code));
	if (code == CURLE_WRITE_ERROR && strbuf_error(&run->ret->body) < 0)
		message = "the answer is too long";
	return error_set(err, ERROR_UNAVAILABLE, 0, "%s \"%s\": %s", method, run->req->url,
			 message[0] ? message : curl_easy_strerror(code));
}

int transfer_run(struct transfers *t, const struct transfer_request *req,
		 struct transfer_response *ret, struct error *err)
{
	struct run run = {.req = req, .ret = ret, .handle = take_handle(t), .stall_s = t->stall_s};
	char message[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	curl_off_t connected = 0;
	char *url = NULL;
	CURLcode code;
	int r = 0;

	*ret = (struct transfer_response){0};
	strbuf_init(&ret->body, req->max_body > ERROR_BODY_MAX ? req->max_body : ERROR_BODY_MAX);
	if (!run.handle)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "make a curl handle");
	set_options(t, &run, message);
	headers = make_headers(req);
	was_asked = false;
	(void)curl_easy_setopt(run.handle, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(run.handle);
	(void)curl_easy_getinfo(run.handle, CURLINFO_RESPONSE_CODE, &ret->status);
	(void)curl_easy_getinfo(run.handle, CURLINFO_EFFECTIVE_URL, &url);
	(void)curl_easy_getinfo(run.handle, CURLINFO_CONNECT_TIME_T, &connected);
	ret->url = xstrdup(url ? url : req->url);
	ret->was_connected = connected > 0;
	if (code != CURLE_OK) {
		ret->is_retryable = (is_retryable(code) && !run.is_stopped) || run.is_stalled;
		if (was_asked && ret->status == 0 && !has_certificate(req))
			ret->is_retryable = false;
		r = describe(&run, code, message, err);
	}
	curl_slist_free_all(headers);
	give_handle(t, run.handle);
	return r;
}

const char *transfer_header(const struct transfer_response *r, const char *name, size_t i)
{
	size_t len = strlen(name);

	for (size_t k = 0; k < r->headers.n; k++) {
		const char *line = r->headers.v[k];

		if (strncmp(line, name, len) != 0 || line[len] != ':' || i-- > 0)
			continue;
		line += len + 1;
		return line + strspn(line, " \t");
	}
	return NULL;
}

/* Seconds, or a date (RFC 7231, section 7.1.3). */
int64_t transfer_retry_after(const struct transfer_response *r)
{
	const char *value = transfer_header(r, "retry-after", 0);
	int64_t s = -1;
	time_t then;

	if (!value || str_parse_i64(value, &s) == 0)
		return s < 0 ? -1 : s;
	then = curl_getdate(value, NULL);
	if (then == (time_t)-1)
		return -1;
	s = (int64_t)then - clock_realtime_ns() / 1000000000;
	return s < 0 ? 0 : s;
}
