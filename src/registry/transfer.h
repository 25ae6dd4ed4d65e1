/* registry/transfer.h - one HTTP request by libcurl, blocking; used in the helper only.
 *
 * Thread-safe: each request borrows a handle, with the connections it has open, from the pool.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

struct transfers;

struct transfers_args {
	const char *user_agent; /* copied, as the next */
	const char *system_ca;  /* PEM; NULL: none */
	int64_t stall_s;        /* without a byte for so long is a failure */
};
struct transfers *transfers_new(const struct transfers_args *args);
struct transfers *transfers_free(struct transfers *t);

/* How a server is trusted; all borrowed, PEM, NULL: none. */
struct transfer_tls {
	const char *ca, *cert, *key;
	bool skip_verify;
};

struct transfer_request {
	const char *method; /* "GET" */
	const char *url;
	const struct transfer_tls *tls;
	const struct strv *headers; /* "Name: value"; may be NULL */
	/* A body in memory, or one that is read: `read` gives up to `size` bytes, 0 at the end,
	 * negative breaks off. */
	const void *body;
	size_t body_len;
	ssize_t (*read)(void *data, void *buf, size_t size);
	void *read_data;
	int64_t read_size;
	/* What a body of a 2xx answer goes to: negative breaks off.  `begin`, if there is one, looks
	 * at the answer first.  Without `write` the body is kept in the response. */
	int (*begin)(void *data, long status, const char *content_range);
	int (*write)(void *data, const void *p, size_t len);
	void *write_data;
	size_t max_body; /* bytes kept; a longer one is an error */
};

#define TRANSFER_HEADERS_MAX 128

struct transfer_response {
	long status;
	struct strbuf body;
	struct strv headers; /* of the last answer: "name: value", names in lower case */
	char *url;           /* owned: where it came from in the end */
	bool is_retryable;   /* of a failure: another attempt may do better */
	bool was_connected;  /* of a failure: somebody had answered the connection */
};
void transfer_response_done(struct transfer_response *r);
#define autotransfer_response __attribute__((cleanup(transfer_response_done)))

/* Any status is a success here.  ERROR_UNAVAILABLE reads like Go's: Get "URL": reason; *ret is filled
 * in both cases. */
int transfer_run(struct transfers *t, const struct transfer_request *req,
		 struct transfer_response *ret, struct error *err);
/* The i-th value of a header (name in lower case), NULL past the last. */
const char *transfer_header(const struct transfer_response *r, const char *name, size_t i);
/* Retry-After in seconds; -1: none. */
int64_t transfer_retry_after(const struct transfer_response *r);
