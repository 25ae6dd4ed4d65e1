/* The seccomp agent: who answers the system calls that the filter asks about (SCMP_ACT_NOTIFY).
 *
 * It listens on linux.seccomp.listenerPath and is sent the filter's descriptor, with the "container
 * process state" of the runtime-spec.  The descriptor exists only once the filter is in force, and then
 * any system call of ours may wait for an agent that has not got it yet: sendmsg(2), futex(2), even
 * write(2).  So a second thread, which is not filtered, sends it, and this one makes no system call
 * until that is done: it looks at a word in memory.  Nothing that may take long happens meanwhile: the
 * connection is made before (by whoever starts us, in the runtime's namespaces), and the socket has
 * room for the whole message.  The thread is gone with execve(2) at the latest.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/seccomp_program.h"
#include "runtime/setup_priv.h"

#define STATE_MAX  ((size_t)16 << 20) /* the annotations of a config.json twice over */
#define STACK_SIZE ((size_t)256 << 10)
#define PENDING    INT_MIN

/* -- on the side of who starts the process -------------------------------------------------- */

int agent_check(const struct oci_linux *l, const struct seccomp_program *program, struct error *err)
{
	struct stat st;

	if (!seccomp_program_notifies(program))
		return 0; /* the specification: then the path is ignored */
	if (str_empty(l->seccomp_listener_path))
		return error_set(err, ERROR_INVALID, 0,
				 "linux.seccomp.listenerPath: is needed for SCMP_ACT_NOTIFY");
	if (stat(l->seccomp_listener_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_INVALID, S_ISSOCK(st.st_mode) ? ENOTSOCK : errno,
				 "linux.seccomp.listenerPath '%s'", l->seccomp_listener_path);
	return 0;
}

int agent_connect(const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open a socket");
	if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG,
				 "linux.seccomp.listenerPath '%s'", path);
	if (connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INVALID, errno, "linux.seccomp.listenerPath '%s'",
				 path);
	return TAKE_FD(sock);
}

/* -- in the process -------------------------------------------------------------------------- */

struct delivery {
	struct strbuf state;  /* owned */
	int sock;             /* owned */
	atomic_int filter_fd; /* PENDING, then the descriptor or -errno of the load */
	atomic_int result;    /* PENDING, then 0 or -errno of the sending */
};

/* What the agent is told (config-linux.md, "The Container Process State"). */
static void write_state(const struct setup *s, struct strbuf *out)
{
	pid_t init = s->target_pid > 0 ? s->target_pid : s->own_pid;
	autofree char *state = runtime_state_json(s->spec, s->id, s->plan ? "created" : "running",
						  init, s->bundle);
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kstring(&w, "ociVersion", OCI_SPEC_VERSION);
	jw_karray(&w, "fds");
	jw_string(&w, "seccompFd");
	jw_array_end(&w);
	jw_kint(&w, "pid", s->own_pid);
	if (!str_empty(s->spec->linux_.seccomp_listener_metadata))
		jw_kstring(&w, "metadata", s->spec->linux_.seccomp_listener_metadata);
	jw_key(&w, "state");
	jw_raw(&w, state, strlen(state));
	jw_object_end(&w);
}

/* The descriptor goes with the first byte.  The connection is for one message: its end tells the agent
 * that this was all, and the filter may already stop us from closing it later. */
static int send_state(struct delivery *d, int fd)
{
	int r = fd_send(d->sock, d->state.s, 1, &fd, 1);

	if (r >= 0)
		r = fd_write_full(d->sock, d->state.s + 1, d->state.len - 1);
	fd_close(&d->sock);
	fd_close(&fd);
	return r < 0 ? r : 0;
}

static void *deliver(void *data)
{
	struct delivery *d = data;
	int fd;

	/* No event tells: whoever would send it is filtered.  It takes as long as the load. */
	while ((fd = atomic_load(&d->filter_fd)) == PENDING)
		(void)sched_yield();
	atomic_store(&d->result, fd < 0 ? fd : send_state(d, fd));
	return NULL;
}

static int start_thread(struct delivery *d, struct error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r == 0)
		r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (r == 0)
		r = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (r == 0)
		r = pthread_create(&thread, &attr, deliver, d);
	(void)pthread_attr_destroy(&attr);
	return r > 0 ? error_set(err, ERROR_INTERNAL, r, "start a thread") : 0;
}

static int prepare(struct setup *s, struct delivery *d, struct error *err)
{
	struct sync_message m = {.type = SYNC_AGENT};
	int room, r;

	write_state(s, &d->state);
	if (strbuf_error(&d->state) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "the container's state");
	if (!str_copy(m.text, sizeof(m.text), s->spec->linux_.seccomp_listener_path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "linux.seccomp.listenerPath");
	r = fd_send(s->sync_fd, &m, sizeof(m), NULL, 0);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "ask for the seccomp agent");
	r = sync_expect(s->sync_fd, SYNC_AGENT, &d->sock, err);
	if (r < 0)
		return r;
	room = (int)(2 * d->state.len + 4096);
	/* Without the right to more than the system's limit, whoever reads slowly is waited for. */
	if (setsockopt(d->sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(d->sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return start_thread(d, err);
}

/* `d` outlives this function: the thread may still be on its way out. */
int agent_load_filter(struct setup *s, struct error *err)
{
	static struct delivery d = {.state = STRBUF_INIT(STATE_MAX),
				    .sock = -EBADF,
				    .filter_fd = PENDING,
				    .result = PENDING};
	int fd, r = prepare(s, &d, err);

	if (r < 0)
		return r;
	fd = seccomp_program_load(s->seccomp, NULL);
	atomic_store(&d.filter_fd, fd);
	while ((r = atomic_load(&d.result)) == PENDING)
		continue;
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, -fd, "load the seccomp filter");
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "send the filter to the seccomp agent")
		     : 0;
}
