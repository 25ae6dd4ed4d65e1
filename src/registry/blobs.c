/* Downloads that go on where they broke off. */
#include "registry/blobs.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"

struct download {
	const struct blob_args *args;
	int64_t pos;      /* the next byte that the receiver wants */
	int64_t at;       /* the next byte that the server sends */
	bool is_too_long; /* the server has more than it should */
};

/* "bytes 100-199/200": where the answer begins; -1: it is not said. */
static int64_t range_begin(const char *content_range)
{
	char number[24];
	int64_t begin;
	size_t n;

	if (!content_range || !str_has_prefix(content_range, "bytes "))
		return -1;
	content_range += strlen("bytes ");
	n = strspn(content_range, "0123456789");
	if (n == 0 || n >= sizeof(number) || content_range[n] != '-')
		return -1;
	memcpy(number, content_range, n);
	number[n] = '\0';
	return str_parse_i64(number, &begin) < 0 ? -1 : begin;
}

static int begin(void *data, long status, const char *content_range)
{
	struct download *d = data;

	d->at = 0;
	if (status == 206)
		d->at = range_begin(content_range);
	/* A server that ignores ranges begins anew: what is here already is skipped. */
	return d->at < 0 || d->at > d->pos ? -EBADMSG : 0;
}

static int take(void *data, const void *p, size_t len)
{
	struct download *d = data;
	int64_t skip = d->pos - d->at;

	if ((int64_t)len <= skip) {
		d->at += (int64_t)len;
		return 0;
	}
	d->at += (int64_t)len;
	p = (const char *)p + skip;
	len -= (size_t)skip;
	if ((int64_t)len > d->args->size - d->pos) {
		d->is_too_long = true;
		return -EFBIG;
	}
	d->pos += (int64_t)len;
	return fd_write_full(d->args->fd, p, len);
}

static int attempt(struct session *s, struct download *d, struct session_failure *failure,
		   struct error *err)
{
	autofree char *path = xasprintf("/v2/%s/blobs/%s", session_repository(s), d->args->digest);
	autosession_request struct session_request req = {.http = {.method = "GET",
								   .url = path,
								   .begin = begin,
								   .write = take,
								   .write_data = d}};
	autotransfer_response struct transfer_response answer = {0};
	static const long ok[] = {200, 206, 0};
	int r;

	req.accept = ok;
	if (d->pos > 0)
		strv_addf(&req.headers, "Range: bytes=%lld-", (long long)d->pos);
	r = session_run(s, &req, &answer, failure, err);
	if (d->is_too_long) {
		error_done(err);
		*err = (struct error){0};
		return error_set(err, ERROR_INVALID, 0,
				 "filesystem layer verification failed for digest %s: it is longer "
				 "than the %lld bytes that the manifest says",
				 d->args->digest, (long long)d->args->size);
	}
	if (r < 0)
		return r;
	if (d->pos < d->args->size) { /* the connection ended well, but too early */
		failure->is_retryable = true;
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "layer %s ends after %lld of %lld bytes", d->args->digest,
				 (long long)d->pos, (long long)d->args->size);
	}
	return 0;
}

int blob_download(struct session *s, const struct blob_args *args, struct session_failure *failure,
		  struct error *err)
{
	struct download d = {.args = args, .pos = args->offset};

	for (int n = 1;; n++) {
		autoerror struct error why = {0};
		int64_t before = d.pos;
		int r = attempt(s, &d, failure, &why);

		if (r >= 0)
			return r;
		n = d.pos > before ? 1 : n; /* it gets on */
		if (!failure->is_retryable)
			return error_move(err, &why, r);
		if (args->retry && n < session_attempts(s))
			args->retry(args->data,
				    failure->retry_after_s > 0 ? failure->retry_after_s : n);
		if (!session_wait(s, n, failure))
			return error_move(err, &why, r);
	}
}
