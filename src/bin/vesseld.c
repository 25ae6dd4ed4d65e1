/* vesseld: the engine as a daemon. */
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/spawn.h"
#include "bin/vesseld-options.h"
#include "engine/engine.h"
#include "http/listen.h"
#include "http/server.h"
#include "http/tls.h"

#define DOCKER_SOCKET   "/run/docker.sock"
#define DUMP_MAX        ((size_t)16 << 20) /* bytes */
#define WORKERS_MAX     512     /* threads; each waits for one request's container, disk or peer */
#define TRIM_MS         30000   /* how often unused memory goes back to the kernel, and so on */
#define NOFILE_SOFT_MAX 1048576 /* each running container costs one descriptor */

struct daemon {
	struct vesseld_options options;
	const struct settings *settings; /* those of the start; the engine owns them */
	struct loop *loop;
	struct pool *pool;
	struct engine *engine;
	struct api *api;
	struct http_server *server, *metrics; /* metrics: NULL unless configured */
	struct tls *tls;
	struct loop_source *trim;
	bool pidfile_written;
};

/* ---- the process ----------------------------------------------------------------------------- */

static void prepare_process(void)
{
	struct rlimit nofile;

	/* Two arenas: the loop's and the workers'.  More only keep what they were given. */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_TRIM_THRESHOLD, 131072);
	(void)umask(0022);
	(void)signal(SIGPIPE, SIG_IGN); /* spawn() gives children the default again */
	(void)prctl(PR_SET_NAME, "vesseld");
	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur =
			nofile.rlim_max < NOFILE_SOFT_MAX ? nofile.rlim_max : NOFILE_SOFT_MAX;
		(void)setrlimit(RLIMIT_NOFILE, &nofile);
	}
}

/* sd_notify(3): one datagram to the socket that systemd names. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	autoclose int fd = -EBADF;

	if (!path || strlen(path) >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, strlen(path));
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
}

static int write_pidfile(struct daemon *d, struct error *err)
{
	char text[32];
	int r;

	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	r = file_write_atomic(AT_FDCWD, d->settings->pidfile, text, strlen(text), 0644, 0, err);
	d->pidfile_written = r >= 0;
	return r;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static int find_group(const struct daemon *d, gid_t *ret, struct error *err)
{
	/* Members of the group are as good as root: Docker's only if its place is taken. */
	const char *usual = d->options.replace_docker ? "docker" : "vessel";
	const char *wanted = d->settings->group;
	const struct group *g = getgrnam(*wanted ? wanted : usual);

	*ret = g ? g->gr_gid : (gid_t)-1;
	if (!g && *wanted)
		return error_set(err, ERROR_INVALID, 0, "group '%s' not found", wanted);
	return 0;
}

static int make_parent(const char *path, struct error *err)
{
	autofree char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return file_mkdir_p(AT_FDCWD, dir, 0755, err);
}

static int listen_on(struct daemon *d, const char *host, struct error *err)
{
	autohttp_address struct http_address address = {0};
	autolisten_fds struct listen_fds fds = {0};
	struct listen_args args = {0};
	int r = http_address_parse(host, d->settings->tls, &address, err);
	bool is_tcp;

	r = r < 0 ? r : find_group(d, &args.gid, err);
	if (r >= 0 && address.kind == HTTP_ADDRESS_UNIX)
		r = make_parent(address.path, err);
	r = r < 0 ? r : listen_open(&address, &args, &fds, err);
	if (r < 0)
		return r;
	is_tcp = address.kind == HTTP_ADDRESS_TCP;
	if (is_tcp && !d->settings->tls_verify)
		log_warn("API on '%s' is open to whoever can connect: that is root on this host",
			 host);
	for (size_t i = 0; r >= 0 && i < fds.n; i++)
		r = http_server_listen(d->server, listen_fds_take(&fds, i), is_tcp ? d->tls : NULL,
				       err);
	if (r >= 0)
		log_info("API listens on %s", host);
	return r;
}

static int open_listeners(struct daemon *d, struct error *err)
{
	const struct settings *s = d->settings;
	const struct tls_args tls = {
		.ca = *s->tls_ca ? s->tls_ca : NULL,
		.cert = *s->tls_cert ? s->tls_cert : NULL,
		.key = *s->tls_key ? s->tls_key : NULL,
		.verify = s->tls_verify,
	};
	struct http_server_args args = {0};
	int r = 0;

	if (s->tls)
		r = tls_new_server(&tls, &d->tls, err);
	api_bind(d->api, &args);
	r = r < 0 ? r : http_server_new(d->loop, d->pool, &args, &d->server, err);
	if (r >= 0 && s->hosts.n == 0)
		r = listen_on(d, "unix://" HTTP_ADDRESS_DEFAULT_PATH, err);
	if (r >= 0 && d->options.replace_docker)
		r = listen_on(d, "unix://" DOCKER_SOCKET, err);
	for (size_t i = 0; r >= 0 && i < s->hosts.n; i++)
		r = listen_on(d, s->hosts.v[i], err);
	return r;
}

static int open_metrics(struct daemon *d, struct error *err)
{
	autohttp_address struct http_address address = {0};
	autolisten_fds struct listen_fds fds = {0};
	autofree char *host = xasprintf("tcp://%s", d->settings->metrics_addr);
	const struct listen_args args = {0};
	struct http_server_args server = {0};
	int r;

	if (str_empty(d->settings->metrics_addr))
		return 0;
	r = http_address_parse(host, false, &address, err);
	r = r < 0 ? r : listen_open(&address, &args, &fds, err);
	api_bind_metrics(d->api, &server);
	r = r < 0 ? r : http_server_new(d->loop, d->pool, &server, &d->metrics, err);
	for (size_t i = 0; r >= 0 && i < fds.n; i++)
		r = http_server_listen(d->metrics, listen_fds_take(&fds, i), NULL, err);
	if (r >= 0)
		log_info("metrics are at http://%s/metrics", d->settings->metrics_addr);
	return r < 0 ? error_wrap(err, r, "metrics-addr") : 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static void on_stop_signal(struct loop_source *s, const struct signalfd_siginfo *si, void *data)
{
	struct daemon *d = data;

	(void)s;
	log_info("signal %u: leaving, containers go on", si->ssi_signo);
	notify("STOPPING=1");
	loop_stop(d->loop);
}

static void notify_reloading(void)
{
	char text[64];

	/* sd_notify(3): systemd tells by the time which reload this answers. */
	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)(clock_monotonic_ns() / 1000));
	notify(text);
}

static void set_log_level(const struct settings *s)
{
	enum log_level level = LOG_LEVEL_INFO;

	log_set_style(str_eq(s->log_format, "json") ? LOG_STYLE_JSON : LOG_STYLE_TEXT);
	(void)log_level_parse(s->log_level, &level); /* checked with the settings */
	log_set_level(s->debug ? LOG_LEVEL_DEBUG : level);
}

/* The file again; what is wrong with it changes nothing. */
static void on_hangup(struct loop_source *s, const struct signalfd_siginfo *si, void *data)
{
	struct daemon *d = data;
	autoerror struct error err = {0};
	struct settings *fresh;

	(void)s;
	(void)si;
	notify_reloading();
	if (vesseld_options_reload(&d->options, engine_settings(d->engine), &fresh, &err) < 0) {
		log_error("configuration is not reloaded: %s", error_msg(&err));
	} else {
		set_log_level(fresh);
		engine_set_settings(d->engine, fresh);
		log_info("configuration is reloaded");
	}
	notify("READY=1");
}

static void on_dump(struct loop_source *s, const struct signalfd_siginfo *si, void *data)
{
	struct daemon *d = data;
	autostrbuf struct strbuf text = STRBUF_INIT(DUMP_MAX);
	autoerror struct error err = {0};
	autofree char *path = NULL;
	char when[CLOCK_RFC3339_SIZE];

	(void)s;
	(void)si;
	clock_format_rfc3339(clock_realtime_ns(), when);
	path = xasprintf("%s/dump-%s.log", d->settings->exec_root, when);
	strbuf_addf(&text, "vesseld " VESSEL_VERSION ", process %d, %s\n", (int)getpid(), when);
	api_dump(d->api, &text);
	if (file_write_atomic(AT_FDCWD, path, text.s, text.len, 0600, 0, &err) < 0)
		log_error("dump: %s", error_msg(&err));
	else
		log_info("dump is in %s", path);
}

static void on_trim(struct loop_source *s, void *data)
{
	struct daemon *d = data;

	(void)malloc_trim(0);
	engine_maintain(d->engine);
	loop_set_timer(s, TRIM_MS);
}

static int add_sources(struct daemon *d, struct error *err)
{
	struct loop_source *source;
	int r = loop_add_signal(d->loop, SIGTERM, on_stop_signal, d, &source, err);

	r = r < 0 ? r : loop_add_signal(d->loop, SIGINT, on_stop_signal, d, &source, err);
	r = r < 0 ? r : loop_add_signal(d->loop, SIGHUP, on_hangup, d, &source, err);
	r = r < 0 ? r : loop_add_signal(d->loop, SIGUSR1, on_dump, d, &source, err);
	return r < 0 ? r : loop_add_timer(d->loop, TRIM_MS, on_trim, d, &d->trim, err);
}

static int open_engine(struct daemon *d, struct error *err)
{
	const struct engine_args args = {
		.loop = d->loop,
		.pool = d->pool,
		.settings = TAKE_PTR(d->options.settings),
	};
	int r = engine_open(&args, &d->engine, err);

	return r < 0 ? r : api_new(d->engine, &d->api, err);
}

static int serve(struct daemon *d, struct error *err)
{
	int r = loop_new(&d->loop, err);

	/* Signals are blocked before the first thread is made, so that all inherit it. */
	r = r < 0 ? r : add_sources(d, err);
	if (r < 0)
		return r;
	d->pool = pool_new(WORKERS_MAX);
	r = write_pidfile(d, err);
	r = r < 0 ? r : open_engine(d, err);
	r = r < 0 ? r : open_listeners(d, err);
	r = r < 0 ? r : open_metrics(d, err);
	if (r < 0)
		return r;
	(void)malloc_trim(0);
	notify("READY=1");
	log_info("vesseld " VESSEL_VERSION " is ready");
	return loop_run(d->loop, err);
}

int main(int argc, char **argv)
{
	struct daemon d = {0};
	autoerror struct error err = {0};
	autofree char *pidfile = NULL;
	int r;

	log_set_name("vesseld");
	prepare_process();
	spawn_prepare();
	r = vesseld_options_parse(argc, argv, &d.options, &err);
	if (r < 0) {
		(void)fprintf(stderr, "vesseld: %s\nSee 'vesseld --help'.\n", error_msg(&err));
		return 125;
	}
	if (r > 0)
		return 0;
	if (d.options.list_settings) {
		vesseld_options_list();
		return 0;
	}
	if (d.options.version) {
		(void)printf("vesseld version %s\n", VESSEL_VERSION);
		return 0;
	}
	if (crash_init() < 0) {
		log_error("VESSEL_CRASH_AT names no crash point");
		return 1;
	}
	d.settings = d.options.settings;
	set_log_level(d.settings);
	if (d.options.validate) {
		(void)printf("configuration OK\n");
		return 0;
	}
	pidfile = xstrdup(d.settings->pidfile);
	r = serve(&d, &err);
	if (r < 0)
		log_error("%s", error_msg(&err));
	if (d.engine)
		engine_leave(d.engine);
	if (d.pidfile_written)
		(void)unlink(pidfile);
	/* Workers may wait for containers that run for years: leave as a kill would, which the state
	 * is made for. */
	(void)fflush(NULL);
	_exit(r < 0 ? 1 : 0);
}
