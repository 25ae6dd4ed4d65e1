/* The client of vessel-layers.
 *
 * `v` is what the holder told; a holder that has died took everything with it, and is replaced when
 * somebody asks for a layer again.  Containers do not notice: their overlays keep the file systems.
 */
#include "store/mounts.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "store/holder.h"
#include "store/layer.h"

#define BACKLOG 8

struct held {
	char name[HOLDER_NAME_SIZE];
	int fd; /* the holder's */
};

struct mounts {
	char *run_dir, *program; /* owned */
	int sock;                /* owned; -EBADF: no holder (yet) */
	pid_t pid;               /* the holder's */
	pid_t child;             /* the same if it is ours to reap; 0: it is not */
	struct held *v;          /* owned */
	size_t n, cap;
	pthread_mutex_t lock; /* around all of the above, and while a layer is being mounted */
};

struct mounts *mounts_new(const char *run_dir, const char *program)
{
	struct mounts *m = xnew0(struct mounts);

	m->run_dir = xstrdup(run_dir);
	m->program = program ? xstrdup(program) : NULL;
	m->sock = -EBADF;
	(void)pthread_mutex_init(&m->lock, NULL);
	return m;
}

static void forget(struct mounts *m)
{
	fd_close(&m->sock);
	m->n = 0;
	m->pid = 0;
}

/* Without anything to hold it ends with the connection, else it is init's. */
static void leave(struct mounts *m)
{
	bool ends = m->n == 0;

	forget(m);
	if (ends && m->child > 0)
		(void)waitpid(m->child, NULL, 0);
	m->child = 0;
}

struct mounts *mounts_free(struct mounts *m)
{
	if (!m)
		return NULL;
	leave(m);
	(void)pthread_mutex_destroy(&m->lock);
	free(m->v);
	free(m->run_dir);
	free(m->program);
	free(m);
	return NULL;
}

static int lost(struct mounts *m, int r, struct error *err)
{
	forget(m);
	return error_set(err, ERROR_INTERNAL, r < 0 ? -r : EPIPE, "ask vessel-layers");
}

static int ask(struct mounts *m, enum holder_operation operation, const char *name, const int *fd,
	       struct error *err)
{
	struct holder_request q = {.operation = operation};
	int r;

	if (!str_copy(q.name, sizeof(q.name), name))
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer '%s'", name);
	r = fd_send(m->sock, &q, sizeof(q), fd, fd ? 1 : 0);
	return r < 0 ? lost(m, r, err) : 0;
}

static int hear(struct mounts *m, struct holder_answer *ret, struct error *err)
{
	size_t n_fds = 0;
	ssize_t n = fd_recv(m->sock, ret, sizeof(*ret), NULL, &n_fds);

	if (n != (ssize_t)sizeof(*ret))
		return lost(m, (int)n, err);
	ret->name[sizeof(ret->name) - 1] = '\0';
	m->pid = ret->pid;
	return 0;
}

static void add(struct mounts *m, const struct holder_answer *a)
{
	xgrow(m->v, m->n, m->cap);
	m->v[m->n] = (struct held){.fd = a->fd};
	(void)str_copy(m->v[m->n++].name, sizeof(m->v->name), a->name);
}

static int learn(struct mounts *m, struct error *err)
{
	struct holder_answer a;
	int r = ask(m, HOLDER_LIST, "", NULL, err);

	while (r >= 0 && (r = hear(m, &a, err)) >= 0 && a.name[0])
		add(m, &a);
	return r;
}

/* ---- finding and starting it ---- */

/* The exec root's path may be longer than a socket's can be. */
static int open_place(const struct mounts *m, struct sockaddr_un *ret, struct error *err)
{
	int dir = open(m->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", m->run_dir);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir,
		       HOLDER_SOCKET);
	return dir;
}

static int connect_to(const struct sockaddr_un *place)
{
	autoclose int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0 || connect(sock, (const struct sockaddr *)place, sizeof(*place)) < 0)
		return -errno;
	return TAKE_FD(sock);
}

static int start(struct mounts *m, int dir, const struct sockaddr_un *place, struct error *err)
{
	autoclose int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct spawn_fd fds[] = {{listener, HOLDER_LISTEN_FD}};
	const char *const argv[] = {"vessel-layers", m->run_dir, NULL};
	const struct spawn_args args = {.path = m->program,
					.exec_fd = -1,
					.argv = argv,
					.fds = fds,
					.fd_count = ARRAY_SIZE(fds),
					.new_session = true};

	if (!m->program)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "vessel-layers is neither beside vesseld nor in libexec/vessel");
	if (m->child > 0) /* the one before, whose end of the connection is closed */
		(void)waitpid(m->child, NULL, 0);
	m->child = 0;
	(void)unlinkat(dir, HOLDER_SOCKET, 0);
	if (listener < 0 || bind(listener, (const struct sockaddr *)place, sizeof(*place)) < 0 ||
	    fchmodat(dir, HOLDER_SOCKET, 0600, 0) < 0 || listen(listener, BACKLOG) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen on '%s/%s'", m->run_dir,
				 HOLDER_SOCKET);
	return spawn(&args, &m->child, NULL, err);
}

static bool is_alive(const struct mounts *m)
{
	char c;

	return m->sock >= 0 &&
	       (recv(m->sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* 0: there is none and none was to be started. */
static int ensure(struct mounts *m, bool may_start, struct error *err)
{
	autoclose int dir = -EBADF;
	struct sockaddr_un place;
	int r;

	if (is_alive(m))
		return 1;
	forget(m);
	dir = open_place(m, &place, err);
	if (dir < 0)
		return dir;
	m->sock = connect_to(&place);
	if (m->sock < 0 && !may_start)
		return 0;
	if (m->sock < 0) {
		r = start(m, dir, &place, err);
		if (r < 0)
			return error_wrap(err, r, "start vessel-layers");
		m->sock = connect_to(&place);
	}
	if (m->sock < 0)
		return error_set(err, ERROR_INTERNAL, -m->sock, "connect to vessel-layers");
	r = learn(m, err);
	return r < 0 ? r : 1;
}

/* ---- layers ---- */

static struct held *find(struct mounts *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, name) == 0)
			return &m->v[i];
	return NULL;
}

static int mount_layer(struct mounts *m, int layers_fd, const char *name, struct error *err)
{
	autoclose int fd = layer_mount(layers_fd, name, err);
	struct holder_answer a;
	int r = fd < 0 ? fd : ask(m, HOLDER_PUT, name, &fd, err);

	if (r >= 0)
		r = hear(m, &a, err);
	if (r >= 0 && a.fd < 0)
		r = error_set(err, ERROR_INTERNAL, -a.fd, "hold the mount of layer '%s'", name);
	if (r >= 0)
		add(m, &a);
	return r;
}

static int get_locked(struct mounts *m, int layers_fd, const char *name, char **ret,
		      struct error *err)
{
	const struct held *h;
	int r = ensure(m, true, err);

	if (r >= 0 && !find(m, name))
		r = mount_layer(m, layers_fd, name, err);
	if (r < 0)
		return r;
	h = find(m, name);
	*ret = xasprintf("/proc/%d/fd/%d", (int)m->pid, h->fd);
	return 0;
}

int mounts_get(struct mounts *m, int layers_fd, const char *name, char **ret, struct error *err)
{
	int r;

	(void)pthread_mutex_lock(&m->lock);
	r = get_locked(m, layers_fd, name, ret, err);
	(void)pthread_mutex_unlock(&m->lock);
	return r;
}

static void drop_locked(struct mounts *m, const char *name)
{
	autoerror struct error err = {0};
	struct holder_answer a;
	struct held *h;

	if (ensure(m, false, &err) <= 0)
		return;
	h = find(m, name);
	if (!h)
		return;
	*h = m->v[--m->n];
	if (ask(m, HOLDER_DROP, name, NULL, &err) < 0 || hear(m, &a, &err) < 0)
		log_warn("store: %s", error_msg(&err));
	else if (m->n == 0)
		leave(m);
}

void mounts_drop(struct mounts *m, const char *name)
{
	(void)pthread_mutex_lock(&m->lock);
	drop_locked(m, name);
	(void)pthread_mutex_unlock(&m->lock);
}

void mounts_list(struct mounts *m, struct strv *ret)
{
	autoerror struct error err = {0};

	(void)pthread_mutex_lock(&m->lock);
	if (ensure(m, false, &err) < 0)
		log_warn("store: %s", error_msg(&err));
	for (size_t i = 0; i < m->n; i++)
		strv_add(ret, m->v[i].name);
	(void)pthread_mutex_unlock(&m->lock);
}
