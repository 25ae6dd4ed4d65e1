/* Log driver journald: systemd's native protocol, one datagram an entry
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).
 *
 * What a datagram cannot hold goes by a sealed memfd.
 */
#include "logger/journald.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "logger/logger.h"
#include "logger/peer.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define PRIORITY_ERR   3
#define PRIORITY_INFO  6
#define FIELDS_MAX     ((size_t)4 << 20)
#define SHORT_ID       12
#define RETRY_MS       100 /* while journald restarts */
#define RETRIES        50

struct journald {
	struct logger *logger; /* borrowed */
	struct peer peer;
	struct strbuf common; /* fields of every entry */
	struct strbuf out;
	uint64_t ordinal;
	bool away; /* it has been waited for in vain */
};

void journald_field(struct strbuf *out, const char *name, const char *value, size_t len)
{
	strbuf_adds(out, name);
	if (!memchr(value, '\n', len)) {
		strbuf_addc(out, '=');
	} else {
		strbuf_addc(out, '\n');
		for (int i = 0; i < 8; i++)
			strbuf_addc(out, (char)((uint64_t)len >> (8 * i)));
	}
	strbuf_add(out, value, len);
	strbuf_addc(out, '\n');
}

char *journald_name(const char *key)
{
	char *name = xstrdup(key), *d = name;

	for (const char *s = key; *s; s++) {
		char c = *s;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			c = '_';
		if (d != name || c != '_')
			*d++ = c;
	}
	*d = '\0';
	return name;
}

static void add_string(struct strbuf *out, const char *name, const char *value)
{
	journald_field(out, name, value, strlen(value));
}

void journald_common(const struct logger_config *c, struct strbuf *out)
{
	char epoch[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(clock_realtime_ns(), epoch);
	journald_field(out, "CONTAINER_ID", c->container_id, strnlen(c->container_id, SHORT_ID));
	add_string(out, "CONTAINER_ID_FULL", c->container_id);
	add_string(out, "CONTAINER_NAME", c->container_name + (*c->container_name == '/'));
	add_string(out, "CONTAINER_TAG", c->tag);
	add_string(out, "IMAGE_NAME", c->image_name);
	add_string(out, "SYSLOG_IDENTIFIER", c->tag);
	add_string(out, "CONTAINER_LOG_EPOCH", epoch);
	for (size_t i = 0; i < c->attrs.n; i++) {
		autofree char *name = journald_name(c->attrs.keys[i]);

		if (*name)
			add_string(out, name, c->attrs.values[i]);
	}
}

void journald_entry(const struct logentry *e, uint64_t ordinal, struct strbuf *out)
{
	char time[CLOCK_RFC3339_SIZE];

	journald_field(out, "MESSAGE", e->line, e->len);
	strbuf_addf(out, "PRIORITY=%d\n",
		    e->stream == LOGENTRY_STDERR ? PRIORITY_ERR : PRIORITY_INFO);
	clock_format_rfc3339(e->time_ns, time);
	add_string(out, "SYSLOG_TIMESTAMP", time);
	strbuf_addf(out, "CONTAINER_LOG_ORDINAL=%llu\n", (unsigned long long)ordinal);
	if (!e->partial)
		return;
	journald_field(out, "CONTAINER_PARTIAL_ID", e->id, e->id_len);
	strbuf_addf(out, "CONTAINER_PARTIAL_ORDINAL=%u\n", e->ordinal);
	add_string(out, "CONTAINER_PARTIAL_LAST", e->last ? "true" : "false");
	if (!e->last)
		add_string(out, "CONTAINER_PARTIAL_MESSAGE", "true");
}

/* ---- the driver ------------------------------------------------------------------------------- */

static void journald_free(void *data)
{
	struct journald *j = data;

	peer_done(&j->peer);
	strbuf_done(&j->common);
	strbuf_done(&j->out);
	free(j);
}

static int journald_open(struct logger *l, void **ret, struct error *err)
{
	struct journald *j = xnew0(struct journald);
	int r = peer_init(&j->peer, l, "unixgram://" JOURNAL_SOCKET, "", err);

	if (r < 0) {
		free(j);
		return r;
	}
	j->logger = l;
	strbuf_init(&j->common, FIELDS_MAX);
	strbuf_init(&j->out, 2 * FIELDS_MAX);
	journald_common(l->config, &j->common);
	*ret = j;
	return 0;
}

static int journald_connect(void *data, struct error *err)
{
	struct journald *j = data;

	if (peer_connect(&j->peer, NULL) < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0, "journald is not enabled on this host");
	return 0;
}

/* A descriptor of the whole, for which the datagram itself is empty. */
static int send_memfd(struct journald *j)
{
	autoclose int fd = fd_memfd("vessel-log", j->out.s, j->out.len, NULL);
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0 &&
	    errno != EPERM) /* fd_memfd may have sealed it for good */
		return -errno;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	for (;;) {
		int r;

		if (sendmsg(j->peer.stream.fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = logger_wait(j->logger, j->peer.stream.fd, POLLOUT, -1);
		if (r < 0)
			return r;
	}
}

static int send_entry(struct journald *j, struct error *err)
{
	int r;

	if (!peer_is_connected(&j->peer)) {
		r = journald_connect(j, err);
		if (r < 0)
			return r;
	}
	for (;;) {
		ssize_t n = send(j->peer.stream.fd, j->out.s, j->out.len, MSG_NOSIGNAL);

		if (n >= 0)
			return 0;
		if (errno == EMSGSIZE || errno == ENOBUFS) {
			r = send_memfd(j);
		} else if (errno == EAGAIN) {
			r = logger_wait(j->logger, j->peer.stream.fd, POLLOUT, -1);
			if (r > 0)
				continue;
		} else if (errno == EINTR) {
			continue;
		} else {
			r = -errno;
		}
		if (r >= 0)
			return 0;
		peer_close(&j->peer);
		return error_set(err, ERROR_INTERNAL, -r, "write to the journal");
	}
}

/* A journald that restarts is back in a moment, and its socket belongs to systemd. */
static int journald_write(void *data, const struct logentry *e, struct error *err)
{
	struct journald *j = data;

	strbuf_reset(&j->out);
	strbuf_add(&j->out, j->common.s, j->common.len);
	journald_entry(e, ++j->ordinal, &j->out);
	for (int i = 0; i < RETRIES && !j->away; i++) {
		int r;

		if (send_entry(j, NULL) >= 0)
			return 0;
		r = logger_wait(j->logger, -1, 0, RETRY_MS);
		if (r < 0)
			break;
	}
	j->away = send_entry(j, err) < 0;
	return j->away ? -EPIPE : 0;
}

const struct log_driver journald_driver = {
	.name = "journald",
	.open = journald_open,
	.connect = journald_connect,
	.write = journald_write,
	.free = journald_free,
};
