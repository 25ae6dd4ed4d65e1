/* Log driver syslog: RFC 3164, RFC 5424 and the local form, to a socket or a host.
 *
 * As Docker has it every message ends with a line feed, also in datagrams; over TLS the RFC 5424 forms
 * are framed by length instead (RFC 5425 section 4.3).  The time is the entry's, not that of sending.
 */
#include "logger/syslog.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/tls.h"
#include "logger/logger.h"
#include "logger/peer.h"

#define PRIORITY_ERR  3
#define PRIORITY_INFO 6
#define BUFFER_MAX    ((size_t)4 << 20)
#define DEFAULT_PORT  "514"
#define NS_PER_S      1000000000
#define NS_PER_US     1000

struct syslog {
	struct logger *logger; /* borrowed */
	struct peer peer;
	bool local; /* no address was given */
	struct syslog_format format;
	struct strbuf out; /* of streams: gathered messages */
};

static const char *const facilities[] = {
	"kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
	"uucp",   "cron",   "authpriv", "ftp",    "",       "",       "",       "",
	"local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7",
};

int syslog_facility(const char *name)
{
	uint64_t n;

	if (str_empty(name))
		return 3; /* daemon */
	for (size_t i = 0; i < ARRAY_SIZE(facilities); i++)
		if (str_eq(facilities[i], name))
			return (int)i;
	return str_parse_u64(name, &n) == 0 && n < ARRAY_SIZE(facilities) ? (int)n : -EINVAL;
}

int syslog_kind(const char *name)
{
	static const char *const names[] = {[SYSLOG_LOCAL] = "",
					    [SYSLOG_RFC3164] = "rfc3164",
					    [SYSLOG_RFC5424] = "rfc5424",
					    [SYSLOG_RFC5424MICRO] = "rfc5424micro"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

/* "2006-01-02T15:04:05.999999+02:00". */
static void add_rfc5424_time(struct strbuf *out, int64_t ns, bool micro)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	char text[40], zone[8];
	struct tm tm;

	(void)localtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strbuf_adds(out, text);
	if (micro && ns % NS_PER_S / NS_PER_US) {
		char fraction[16];
		int n = snprintf(fraction, sizeof(fraction), ".%06d",
				 (int)(ns % NS_PER_S / NS_PER_US));

		while (n > 0 && fraction[n - 1] == '0')
			fraction[--n] = '\0';
		strbuf_adds(out, fraction);
	}
	if (tm.tm_gmtoff == 0) {
		strbuf_addc(out, 'Z');
		return;
	}
	(void)strftime(zone, sizeof(zone), "%z", &tm);
	strbuf_addf(out, "%.3s:%s", zone, zone + 3);
}

void syslog_format_add(const struct syslog_format *f, const struct logentry *e, struct strbuf *out)
{
	int priority =
		f->facility * 8 + (e->stream == LOGENTRY_STDERR ? PRIORITY_ERR : PRIORITY_INFO);
	time_t seconds = (time_t)(e->time_ns / NS_PER_S);
	autostrbuf struct strbuf head = STRBUF_INIT(BUFFER_MAX);
	bool rfc5424 = f->kind == SYSLOG_RFC5424 || f->kind == SYSLOG_RFC5424MICRO;
	char stamp[32];
	struct tm tm;

	if (rfc5424) {
		strbuf_addf(&head, "<%d>1 ", priority);
		add_rfc5424_time(&head, e->time_ns, f->kind == SYSLOG_RFC5424MICRO);
		strbuf_addf(&head, " %s %s %d %s - ", f->hostname, f->tag, f->pid, f->tag);
	} else {
		(void)localtime_r(&seconds, &tm);
		(void)strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
		strbuf_addf(&head, "<%d>%s ", priority, stamp);
		if (f->kind == SYSLOG_RFC3164)
			strbuf_addf(&head, "%s ", f->hostname);
		strbuf_addf(&head, "%s[%d]: ", f->tag, f->pid);
	}
	if (f->framed && rfc5424)
		strbuf_addf(out, "%zu ", head.len + e->len + 1);
	strbuf_add(out, head.s, head.len);
	strbuf_add(out, e->line, e->len);
	strbuf_addc(out, '\n');
}

/* ---- the driver ------------------------------------------------------------------------------- */

static void syslog_free(void *data)
{
	struct syslog *s = data;

	peer_done(&s->peer);
	strbuf_done(&s->out);
	free(s);
}

static int syslog_open(struct logger *l, void **ret, struct error *err)
{
	const struct logger_config *c = l->config;
	const char *address = logger_option_or(c, "syslog-address", "");
	const char *skip = logger_option(c, "syslog-tls-skip-verify");
	struct syslog *s = xnew0(struct syslog);
	const struct tls_args tls = {
		.ca = logger_option(c, "syslog-tls-ca-cert"),
		.cert = logger_option(c, "syslog-tls-cert"),
		.key = logger_option(c, "syslog-tls-key"),
		.verify = !skip, /* as Docker has it: that it is there is enough */
	};
	int r;

	s->logger = l;
	s->local = !*address;
	strbuf_init(&s->out, BUFFER_MAX);
	r = peer_init(&s->peer, l, s->local ? "unixgram:///dev/log" : address, DEFAULT_PORT, err);
	if (r >= 0 && s->peer.kind == PEER_TLS)
		r = tls_new_client(&tls, &s->peer.tls, err);
	if (r < 0) {
		syslog_free(s);
		return r;
	}
	s->format = (struct syslog_format){
		.kind = (enum syslog_kind)syslog_kind(logger_option_or(c, "syslog-format", "")),
		.facility = syslog_facility(logger_option(c, "syslog-facility")),
		.tag = c->tag,
		.hostname = l->hostname,
		.pid = (int)getpid(),
		.framed = s->peer.kind == PEER_TLS,
	};
	*ret = s;
	return 0;
}

/* Without an address: whatever socket the host's syslog listens on. */
static int connect_local(struct syslog *s, struct error *err)
{
	static const char *const paths[] = {"/dev/log", "/var/run/syslog", "/var/run/log"};
	static const enum peer_kind kinds[] = {PEER_UNIXGRAM, PEER_UNIX};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
			free(s->peer.path);
			s->peer.path = xstrdup(paths[i]);
			s->peer.kind = kinds[k];
			if (peer_connect(&s->peer, NULL) >= 0)
				return 0;
		}
	return error_set(err, ERROR_INTERNAL, 0, "Unix syslog delivery error");
}

static int syslog_connect(void *data, struct error *err)
{
	struct syslog *s = data;

	return s->local ? connect_local(s, err) : peer_connect(&s->peer, err);
}

/* Once more on a new connection, then it is lost. */
static int send_out(struct syslog *s, struct error *err)
{
	int r = 0;

	if (peer_is_connected(&s->peer) && peer_is_stale(&s->peer))
		peer_close(&s->peer);
	if (peer_is_connected(&s->peer))
		r = peer_write(&s->peer, s->out.s, s->out.len, -1, NULL);
	if (!peer_is_connected(&s->peer)) {
		r = syslog_connect(s, err);
		if (r >= 0)
			r = peer_write(&s->peer, s->out.s, s->out.len, -1, err);
	}
	strbuf_reset(&s->out);
	return r;
}

static int syslog_flush(void *data, struct error *err)
{
	struct syslog *s = data;

	return s->out.len > 0 ? send_out(s, err) : 0;
}

static int syslog_write(void *data, const struct logentry *e, struct error *err)
{
	struct syslog *s = data;

	syslog_format_add(&s->format, e, &s->out);
	return peer_is_stream(&s->peer) ? 0 : send_out(s, err);
}

const struct log_driver syslog_driver = {
	.name = "syslog",
	.open = syslog_open,
	.connect = syslog_connect,
	.write = syslog_write,
	.flush = syslog_flush,
	.free = syslog_free,
};
