/* registry/remote.h - the helper process as vesseld sees it: started, asked, ended.
 *
 * One helper serves one request of a client and is used by one thread.  It has no privileges and sees
 * strangers' bytes; what it answers is JSON of ours, but what is in it is as little to be trusted as
 * what the registry said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

struct remote;

struct remote_args {
	const char *const *env; /* NULL-terminated, beside what vesseld has: proxies; may be NULL */
	int client_fd;          /* borrowed; when it hangs up everything here fails; -1: none */
};
int remote_start(const struct remote_args *args, struct remote **ret, struct error *err);
/* Kills it. */
struct remote *remote_free(struct remote *r);
DEFINE_CLEANUP(struct remote, remote_free);
#define autoremote __attribute__((cleanup(remote_freep_)))

/* A request under construction: members go to .w, then remote_send. */
struct remote_request {
	struct strbuf text;
	struct json_writer w;
	int64_t id;
};
void remote_request_init(struct remote *r, const char *op, struct remote_request *ret);
/* fd: borrowed, goes along; -1: none.  Ends and empties the request. */
int remote_send(struct remote *r, struct remote_request *req, int fd, struct error *err);

/* For poll(2). */
int remote_fd(const struct remote *r);
int remote_client_fd(const struct remote *r);

struct remote_reply {
	int64_t id;
	const struct json *ok;    /* NULL: not answered well */
	const struct json *error; /* or this */
	int64_t retry_s;          /* else, > 0: it tries again after so many seconds */
	int64_t progress;         /* else: bytes that have gone */
};
/* After POLLIN: 1 and a reply that lives in `a`, 0: none complete yet, negative: it is gone. */
int remote_receive(struct remote *r, struct arena *a, struct remote_reply *ret, struct error *err);
/* Send and wait for the answer: `ok`, or its error with Docker's text. */
int remote_ask(struct remote *r, struct remote_request *req, struct arena *a,
	       const struct json **ret, struct error *err);
/* The same with a descriptor (borrowed). */
int remote_ask_with(struct remote *r, struct remote_request *req, int fd, struct arena *a,
		    const struct json **ret, struct error *err);
/* The error of a reply; `code` is the registry's ("MANIFEST_UNKNOWN") or "". */
int remote_error(const struct json *error, struct error *err);
const char *remote_error_code(const struct remote *r); /* of the last remote_ask that failed */
/* ERROR_INTERNAL "the client went away" for callers that poll themselves. */
int remote_client_gone(struct error *err);
