/* The loop of vessel-log: batches of entries from the shim to the driver, until the shim has gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "logger/logger.h"

#define SAY_EVERY_NS INT64_C(60000000000)
#define BATCH_MAX    ((size_t)1 << 20) /* bytes; a shim's batches have some 80 KiB */

struct run {
	const struct log_driver *driver;
	void *d;           /* owned by the driver */
	int64_t said_ns;   /* monotonic; 0: never */
	uint64_t failures; /* since then */
};

/* Now and then: a peer that is away would fill our own log otherwise. */
static void note(struct run *run, int r, const struct error *err)
{
	int64_t now = clock_monotonic_ns();

	if (r >= 0)
		return;
	run->failures++;
	if (run->said_ns && now - run->said_ns < SAY_EVERY_NS)
		return;
	log_warn("log driver %s: %s; writes that failed, and whose lines are lost: %llu",
		 run->driver->name, error_msg(err), (unsigned long long)run->failures);
	run->said_ns = now;
	run->failures = 0;
}

static void feed(struct run *run, const char *p, size_t len)
{
	struct logentry e;
	ssize_t n;

	for (; (n = logentry_next(p, len, &e)) > 0; p += n, len -= (size_t)n) {
		autoerror struct error err = {0};
		int r = run->driver->write(run->d, &e, &err);

		if (r < 0 || !run->driver->flush)
			note(run, r, &err);
	}
	if (run->driver->flush) {
		autoerror struct error err = {0};
		int r = run->driver->flush(run->d, &err);

		note(run, r, &err);
	}
}

/* 0 when the driver is ready to write. */
static int begin(struct run *run, struct logger *l, bool first, struct error *err)
{
	int r;

	run->driver = log_driver_find(l->config->name);
	if (!run->driver)
		return error_set(err, ERROR_INVALID, 0, "no log driver '%s'", l->config->name);
	r = run->driver->open(l, &run->d, err);
	if (r >= 0 && first && run->driver->connect)
		r = run->driver->connect(run->d, err);
	return r < 0 ? r : logger_confine(l, run->driver, err);
}

static void on_child(int signo)
{
	(void)signo;
}

/* A program that has ended, what compresses, is a reason to look: there may be nothing to write for hours.
 * Its signal arrives while we wait, and never before. */
static void hold_children(sigset_t *ret_idle)
{
	const struct sigaction action = {.sa_handler = on_child};
	sigset_t child;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigaction(SIGCHLD, &action, NULL);
	(void)sigprocmask(SIG_BLOCK, &child, ret_idle);
	(void)sigdelset(ret_idle, SIGCHLD);
}

/* False: a child has ended. */
static bool wait_input(int input_fd, const sigset_t *idle)
{
	struct pollfd p = {.fd = input_fd, .events = POLLIN};

	return ppoll(&p, 1, NULL, idle) >= 0 || errno != EINTR;
}

int logger_run(const struct logger_config *config, int input_fd, int status_fd)
{
	struct logger l = {.config = config, .input_fd = input_fd};
	autofree char *buf = xcalloc(BATCH_MAX, 1);
	autoerror struct error err = {0};
	struct run run = {0};
	sigset_t idle;
	ssize_t n;
	int r;

	hold_children(&idle);
	(void)gethostname(l.hostname, sizeof(l.hostname) - 1);
	r = begin(&run, &l, status_fd >= 0, &err);
	if (r < 0) {
		log_error("%s", error_msg(&err));
		if (status_fd >= 0)
			(void)fd_write_full(status_fd, error_msg(&err), strlen(error_msg(&err)));
		if (run.d)
			run.driver->free(run.d);
		return 1;
	}
	if (status_fd >= 0) {
		(void)fd_write_full(status_fd, "\n", 1);
		(void)close(status_fd);
	}
	for (;;) {
		if (wait_input(input_fd, &idle)) {
			n = recv(input_fd, buf, BATCH_MAX, 0);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				break;
			feed(&run, buf, (size_t)n);
		} else {
			feed(&run, buf, 0);
		}
	}
	if (run.failures > 0)
		log_warn("log driver %s: writes that failed, and whose lines are lost: %llu",
			 run.driver->name, (unsigned long long)run.failures);
	run.driver->free(run.d);
	return 0;
}
