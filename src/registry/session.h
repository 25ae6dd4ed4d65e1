/* registry/session.h - one repository of one registry, in the helper: endpoints, tokens, requests.
 *
 * Thread-safe after session_open.  The members of "open":
 *     repository       "library/busybox"; "" for login and search
 *     actions          "pull", "pull,push"
 *     endpoints        [{url, mirror, skip_verify, ca, cert, key}], in the order to be tried
 *     auth             {username, password, identitytoken, registrytoken}
 *     user_agent, attempts
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "registry/transfer.h"

struct session;
struct session_endpoint;

/* `system_ca` is borrowed for the call. */
int session_open(const struct json *open, const char *system_ca, struct session **ret,
		 struct error *err);
struct session *session_free(struct session *s);

size_t session_endpoint_count(const struct session *s);
/* From here on requests go to endpoint `i`: GET /v2/ tells whether it is one, and how to log in. */
int session_use(struct session *s, size_t i, struct error *err);
const char *session_repository(const struct session *s);
const char *session_url(
	const struct session *s); /* of the endpoint in use, without a slash behind */
int session_attempts(const struct session *s);
int64_t session_piece(const struct session *s); /* bytes: blobs above this go up in pieces */

/* What a failed request was about, beside the text. */
struct session_failure {
	char code[64]; /* the registry's: "MANIFEST_UNKNOWN", or "" */
	long status;   /* HTTP; 0: no answer */
	bool is_retryable;
	int64_t retry_after_s; /* -1: not said */
};

struct session_request {
	struct transfer_request http; /* url: absolute, or a path behind the endpoint's */
	struct strv headers;          /* owned; Authorization is added */
	const char *scope;  /* more than the session's: "repository:x:pull"; may be NULL */
	const long *accept; /* statuses that are no failures; ends with 0; NULL: all 2xx */
};
void session_request_done(struct session_request *r);
#define autosession_request __attribute__((cleanup(session_request_done)))

/* One attempt (two, when a token turns out to be stale).  A status that is not accepted is an error with
 * the registry's words, as Docker shows them. */
int session_run(struct session *s, struct session_request *req, struct transfer_response *ret,
		struct session_failure *failure, struct error *err);
/* Attempts until it works, the failure is final, or there were too many.  Not for bodies that are read
 * or written. */
int session_try(struct session *s, struct session_request *req, struct transfer_response *ret,
		struct session_failure *failure, struct error *err);
/* Wait before attempt `n` (from 1 on); false: that was one too many, or the server wants too much
 * patience. */
bool session_wait(const struct session *s, int n, const struct session_failure *failure);

/* Check the credentials: the identity token, if the server gives one, is the caller's. */
int session_login(struct session *s, char **ret_token, struct session_failure *failure,
		  struct error *err);
/* The value of Authorization for name and password, owned by the caller; NULL if there is none. */
char *session_basic(const struct session *s);
