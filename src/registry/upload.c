/* Uploads: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
 *
 * POST gives a place to send to, which moves with each answer (Location).  A small blob goes there whole by
 * PUT; a large one in pieces by PATCH, and an empty PUT ends it.  After a broken connection GET tells how
 * much has arrived.
 */
#include "registry/upload.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define ANSWER_MAX      65536
#define PROGRESS_MS     100
#define MOUNT_TRIES_MAX 4

struct upload {
	struct session *s;
	const struct upload_args *args;
	char *place;      /* owned: absolute URL, or a path behind the endpoint's */
	int64_t sent;     /* bytes that the server has */
	int64_t pos, end; /* of the body under way */
	int64_t told_ms;
	struct session_failure *failure;
};

/* ---- is it there? ---- */

static int exists(struct upload *u, bool *ret, struct error *err)
{
	autofree char *path =
		xasprintf("/v2/%s/blobs/%s", session_repository(u->s), u->args->digest);
	static const long ok[] = {200, 404, 0};
	autosession_request struct session_request req = {
		.http = {.method = "HEAD", .url = path, .max_body = ANSWER_MAX}, .accept = ok};
	autotransfer_response struct transfer_response answer = {0};
	int r = session_try(u->s, &req, &answer, u->failure, err);

	*ret = r >= 0 && answer.status == 200;
	return r;
}

static int take_place(struct upload *u, const struct transfer_response *answer, struct error *err)
{
	const char *location = transfer_header(answer, "location", 0);

	if (str_empty(location) || (location[0] != '/' && !str_has_prefix(location, "http://") &&
				    !str_has_prefix(location, "https://")))
		return error_set(err, ERROR_INTERNAL, 0,
				 "the registry names no place for the upload of %s",
				 u->args->digest);
	free(u->place);
	u->place = xstrdup(location);
	return 0;
}

/* POST, with a mount or without: 1 mounted, 0: there is a place to send to. */
static int begin_upload(struct upload *u, const char *from, struct error *err)
{
	autofree char *mount =
		from ? xasprintf("?mount=%s&from=%s", u->args->digest, from) : xstrdup("");
	autofree char *path = xasprintf("/v2/%s/blobs/uploads/%s", session_repository(u->s), mount);
	autofree char *scope = from ? xasprintf("repository:%s:pull", from) : NULL;
	static const long ok[] = {201, 202, 0};
	autosession_request struct session_request req = {
		.http = {.method = "POST", .url = path, .max_body = ANSWER_MAX},
		.scope = scope,
		.accept = ok};
	autotransfer_response struct transfer_response answer = {0};
	int r = session_try(u->s, &req, &answer, u->failure, err);

	if (r < 0)
		return r;
	if (answer.status == 201 && from)
		return 1;
	u->sent = 0;
	r = take_place(u, &answer, err);
	return r;
}

/* 1 mounted; 0 not, and then there may be a place already. */
static int try_mounts(struct upload *u, const char **ret_from)
{
	for (size_t i = 0; i < json_count(u->args->mounts) && i < MOUNT_TRIES_MAX; i++) {
		const char *from = json_string(json_at(u->args->mounts, i));

		if (!from || str_eq(from, session_repository(u->s)))
			continue;
		/* Refused, perhaps because we may not read there: it is a short cut only. */
		if (begin_upload(u, from, NULL) == 1) {
			*ret_from = from;
			return 1;
		}
	}
	return 0;
}

/* ---- bytes ---- */

static ssize_t read_body(void *data, void *buf, size_t size)
{
	struct upload *u = data;
	int64_t room = u->end - u->pos, now = clock_monotonic_ns() / 1000000;
	ssize_t n = pread(u->args->fd, buf, room < (int64_t)size ? (size_t)room : size, u->pos);

	if (n < 0 || (n == 0 && room > 0))
		return -EIO;
	u->pos += n;
	if (now - u->told_ms >= PROGRESS_MS) {
		u->told_ms = now;
		u->args->progress(u->args->data, u->pos);
	}
	return n;
}

static char *with_digest(const struct upload *u)
{
	return xasprintf("%s%cdigest=%s", u->place, strchr(u->place, '?') ? '&' : '?',
			 u->args->digest);
}

/* PUT the whole, or PATCH the next piece. */
static int send_piece(struct upload *u, bool is_whole, struct error *err)
{
	autofree char *url = is_whole ? with_digest(u) : xstrdup(u->place);
	int64_t piece = session_piece(u->s);
	static const long put[] = {201, 0}, patch[] = {202, 204, 0};
	autosession_request struct session_request req = {
		.http = {.method = is_whole ? "PUT" : "PATCH",
			 .url = url,
			 .read = read_body,
			 .read_data = u,
			 .max_body = ANSWER_MAX},
		.accept = is_whole ? put : patch};
	autotransfer_response struct transfer_response answer = {0};
	int r;

	u->pos = u->sent;
	u->end = u->args->size - u->pos < piece ? u->args->size : u->pos + piece;
	req.http.read_size = u->end - u->pos;
	strv_add(&req.headers, "Content-Type: application/octet-stream");
	if (!is_whole)
		strv_addf(&req.headers, "Content-Range: %lld-%lld", (long long)u->pos,
			  (long long)u->end - 1);
	r = session_run(u->s, &req, &answer, u->failure, err);
	if (r < 0)
		return r;
	u->sent = u->end;
	return is_whole ? 0 : take_place(u, &answer, err);
}

static int finish(struct upload *u, struct error *err)
{
	autofree char *url = with_digest(u);
	static const long ok[] = {201, 204, 0};
	autosession_request struct session_request req = {
		.http = {.method = "PUT", .url = url, .max_body = ANSWER_MAX}, .accept = ok};
	autotransfer_response struct transfer_response answer = {0};

	return session_try(u->s, &req, &answer, u->failure, err);
}

/* How much has arrived?  False: that is not known, so all begins anew. */
static bool find_position(struct upload *u)
{
	static const long ok[] = {204, 0};
	autosession_request struct session_request req = {
		.http = {.method = "GET", .url = u->place, .max_body = ANSWER_MAX}, .accept = ok};
	autotransfer_response struct transfer_response answer = {0};
	const char *range, *dash;
	int64_t last;

	if (session_run(u->s, &req, &answer, NULL, NULL) < 0)
		return false;
	range = transfer_header(&answer, "range", 0); /* "0-99"; some write "0-0" for nothing */
	dash = range ? strchr(range, '-') : NULL;
	if (!dash || str_parse_i64(dash + 1, &last) < 0 || last < 1 || last >= u->args->size)
		return false;
	if (take_place(u, &answer, NULL) < 0)
		return false;
	u->sent = last + 1;
	return true;
}

static int send_all(struct upload *u, struct error *err)
{
	bool is_whole = u->sent == 0 && u->args->size <= session_piece(u->s);
	int r = 0;

	if (is_whole && u->args->size > 0)
		return send_piece(u, true, err);
	while (u->sent < u->args->size && r >= 0)
		r = send_piece(u, false, err);
	return r < 0 ? r : finish(u, err);
}

/* The server knows nothing of the upload any more, or of another beginning of it. */
static bool is_lost(const struct session_failure *f)
{
	return f->status == 404 || f->status == 416 || str_eq(f->code, "BLOB_UPLOAD_UNKNOWN") ||
	       str_eq(f->code, "RANGE_INVALID");
}

static int send_blob(struct upload *u, struct error *err)
{
	for (int n = 1;; n++) {
		autoerror struct error why = {0};
		int64_t before = u->sent;
		int r = u->place ? 0 : begin_upload(u, NULL, &why);

		if (r >= 0)
			r = send_all(u, &why);
		if (r >= 0)
			return r;
		n = u->sent > before ? 1 : n;
		if (u->place && is_lost(u->failure)) {
			free(u->place);
			u->place = NULL;
		} else if (!u->failure->is_retryable) {
			return error_move(err, &why, r);
		}
		if (n < session_attempts(u->s))
			u->args->retry(u->args->data, u->failure->retry_after_s > 0
							      ? u->failure->retry_after_s
							      : n);
		if (!session_wait(u->s, n, u->failure))
			return error_move(err, &why, r);
		if (u->place && !find_position(u)) {
			free(u->place);
			u->place = NULL;
		}
	}
}

int upload_blob(struct session *s, const struct upload_args *args, enum upload_outcome *ret,
		const char **ret_from, struct session_failure *failure, struct error *err)
{
	struct upload u = {.s = s, .args = args, .failure = failure};
	bool there = false;
	int r = exists(&u, &there, err);

	*ret = UPLOAD_DONE;
	if (r >= 0 && there)
		*ret = UPLOAD_EXISTS;
	else if (r >= 0 && try_mounts(&u, ret_from) > 0)
		*ret = UPLOAD_MOUNTED;
	else if (r >= 0 && args->fd < 0)
		*ret = UPLOAD_MISSING;
	else if (r >= 0)
		r = send_blob(&u, err);
	free(u.place);
	return r;
}

int upload_manifest(struct session *s, const struct upload_manifest *m,
		    struct session_failure *failure, struct error *err)
{
	autofree char *path = xasprintf("/v2/%s/manifests/%s", session_repository(s), m->reference);
	static const long ok[] = {200, 201, 202, 204, 0};
	autosession_request struct session_request req = {.http = {.method = "PUT",
								   .url = path,
								   .body = m->text,
								   .body_len = m->len,
								   .max_body = ANSWER_MAX},
							  .accept = ok};
	autotransfer_response struct transfer_response answer = {0};

	strv_addf(&req.headers, "Content-Type: %s", m->type);
	return session_try(s, &req, &answer, failure, err);
}
