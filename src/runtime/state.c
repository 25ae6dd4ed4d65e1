/* Records of containers on disk, and what can be done to a container by its record. */
#include "runtime/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/pidfd.h"
#include "linux/rootless.h"
#include "linux/sys.h"
#include "oci/runtime_spec.h"
#include "runtime/launch_priv.h"
#include "runtime/rootless_priv.h"
#include "runtime/runtime.h"

#define STATE_MAX    ((size_t)4 << 20)
#define STATE_FILE   "state.json"
#define HIDDEN_FILE  "state.json.new"
#define START_SOCKET "start.sock"
#define CGROUP_LINK  "cgroup"
#define CONFIG_FILE  "config.json"

struct state *state_free(struct state *s)
{
	if (!s)
		return NULL;
	free(s->id);
	free(s->bundle);
	free(s->rootfs);
	free(s->cgroup_path);
	free(s->version);
	free(s->created);
	free(s->annotations);
	fd_close(&s->dir_fd);
	free(s);
	return NULL;
}

static bool id_is_safe(const char *id)
{
	return !str_empty(id) && id[0] != '.' && !strchr(id, '/') && strlen(id) <= 255;
}

int state_create(const char *root, const char *id, struct state **ret, struct error *err)
{
	autostate struct state *s = xnew0(struct state);
	autoclose int root_fd = -EBADF;
	int r;

	s->dir_fd = -EBADF;
	if (!id_is_safe(id))
		return error_set(err, ERROR_INVALID, 0, "invalid container ID format: '%s'", id);
	r = file_mkdir_p(AT_FDCWD, root, 0700, err);
	if (r < 0)
		return r;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", root);
	if (mkdirat(root_fd, id, 0700) < 0)
		return errno == EEXIST
			       ? error_set(err, ERROR_CONFLICT, 0,
					   "container with given ID already exists")
			       : error_set(err, ERROR_INTERNAL, errno, "create '%s/%s'", root, id);
	s->dir_fd = openat(root_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "open '%s/%s'", root, id);
		(void)unlinkat(root_fd, id, AT_REMOVEDIR); /* ours, and empty */
		return r;
	}
	s->id = xstrdup(id);
	*ret = TAKE_PTR(s);
	return 0;
}

static char *copy_string(const struct json *v, const char *key)
{
	const char *s = json_get_string(v, key);

	return s ? xstrdup(s) : NULL;
}

static int decode(struct state *s, const char *text, size_t len, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *v, *annotations;
	int r = json_parse(a, text, len, &v, err);

	if (r < 0)
		return r;
	s->bundle = copy_string(v, "bundle");
	s->rootfs = copy_string(v, "rootfs");
	s->version = copy_string(v, "ociVersion");
	s->created = copy_string(v, "created");
	s->pid = (pid_t)json_get_int(v, "pid");
	s->start_time = json_uint(json_get(v, "startTime"));
	s->has_poststart = json_get_bool(v, "hasPoststart");
	s->has_poststop = json_get_bool(v, "hasPoststop");
	s->no_new_keyring = json_get_bool(v, "noNewKeyring");
	s->own_time = json_get_bool(v, "ownTime");
	annotations = json_get(v, "annotations");
	if (json_count(annotations)) {
		struct strbuf out = STRBUF_INIT(STATE_MAX);
		struct json_writer w;

		json_writer_init(&w, &out);
		jw_value(&w, annotations);
		s->annotations = strbuf_take(&out);
	}
	return 0;
}

static int read_cgroup(int dir_fd, char **ret)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, CGROUP_LINK, path, sizeof(path));

	if (n < 0)
		return errno == ENOENT ? 0 : -errno; /* not made yet, or never */
	if ((size_t)n == sizeof(path))
		return -ENAMETOOLONG;
	*ret = xstrndup(path, (size_t)n);
	return 0;
}

int state_note_cgroup(const struct state *s, struct error *err)
{
	/* A link is made whole or not at all, in one system call. */
	if (symlinkat(s->cgroup_path, s->dir_fd, CGROUP_LINK) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "note the cgroup of '%s'", s->id);
	return 0;
}

int state_load(const char *root, const char *id, struct state **ret, struct error *err)
{
	autostate struct state *s = xnew0(struct state);
	autofree char *path = xasprintf("%s/%s", root, id), *text = NULL;
	size_t len = 0;
	int r;

	s->dir_fd = id_is_safe(id) ? open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (s->dir_fd < 0)
		return errno == ENOENT || !id_is_safe(id)
			       ? error_set(err, ERROR_NOT_FOUND, 0, "container does not exist")
			       : error_set(err, ERROR_INTERNAL, errno, "open '%s'", path);
	s->id = xstrdup(id);
	r = read_cgroup(s->dir_fd, &s->cgroup_path);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "read the cgroup of '%s'", id);
	r = file_read(s->dir_fd, STATE_FILE, STATE_MAX, &text, &len, err);
	/* no file yet: its creation is under way, or was cut off */
	if (r == -ENOENT) {
		if (err)
			error_done(err);
		*ret = TAKE_PTR(s);
		return 0;
	}
	if (r >= 0)
		r = decode(s, text, len, err);
	if (r < 0)
		return error_wrap(err, r, "container '%s'", id);
	*ret = TAKE_PTR(s);
	return 0;
}

static void write_state(const struct state *s, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kstring(&w, "id", s->id);
	jw_kstring(&w, "bundle", s->bundle);
	jw_kstring(&w, "rootfs", s->rootfs);
	jw_kstring(&w, "ociVersion", s->version);
	jw_kstring(&w, "created", s->created);
	jw_kint(&w, "pid", s->pid);
	jw_kuint(&w, "startTime", s->start_time);
	jw_kbool(&w, "hasPoststart", s->has_poststart);
	jw_kbool(&w, "hasPoststop", s->has_poststop);
	jw_kbool(&w, "noNewKeyring", s->no_new_keyring);
	jw_kbool(&w, "ownTime", s->own_time);
	if (s->annotations) {
		jw_key(&w, "annotations");
		jw_raw(&w, s->annotations, strlen(s->annotations));
	}
	jw_object_end(&w);
}

static int too_long(const struct state *s, struct error *err)
{
	return error_set(err, ERROR_INVALID, E2BIG, "state of container '%s'", s->id);
}

int state_save(const struct state *s, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(STATE_MAX);

	write_state(s, &out);
	if (strbuf_error(&out) < 0)
		return too_long(s, err);
	/* Gone after a reboot, as the container is: no need to sync. */
	return file_write_atomic(s->dir_fd, STATE_FILE, out.s, out.len, 0600, 0, err);
}

static int write_new(const struct state *s, const char *file, const char *text, size_t len)
{
	autoclose int fd =
		openat(s->dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd_write_full(fd, text, len);
}

int state_save_hidden(const struct state *s, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(STATE_MAX);
	int r;

	write_state(s, &out);
	if (strbuf_error(&out) < 0)
		return too_long(s, err);
	r = write_new(s, HIDDEN_FILE, out.s, out.len);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "save the state of '%s'", s->id);
	return 0;
}

struct runtime_rename state_publication(const struct state *s)
{
	return (struct runtime_rename){.dir_fd = s->dir_fd, .from = HIDDEN_FILE, .to = STATE_FILE};
}

/* Nobody reads it before there is a state.json: one write of a new file is enough. */
int state_save_config(const struct state *s, const char *text, size_t len, struct error *err)
{
	int r = write_new(s, CONFIG_FILE, text, len);

	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "save the configuration of '%s'", s->id)
		     : 0;
}

int state_read_config(const struct state *s, char **ret, size_t *ret_len, struct error *err)
{
	int r = file_read(s->dir_fd, CONFIG_FILE, OCI_SPEC_MAX, ret, ret_len, err);

	return r < 0 ? error_wrap(err, r, "container '%s'", s->id) : 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list(const char *root, struct strv *ret, struct error *err)
{
	struct dirent *entry;
	DIR *dir = opendir(root);

	if (!dir)
		return errno == ENOENT ? 0
				       : error_set(err, ERROR_INTERNAL, errno, "open '%s'", root);
	while ((entry = readdir(dir)))
		if (id_is_safe(entry->d_name) &&
		    (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN))
			strv_add(ret, entry->d_name);
	(void)closedir(dir);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_names);
	return 0;
}

int state_remove(const char *root, const struct state *s, struct error *err)
{
	autofree char *path = xasprintf("%s/%s", root, s->id);
	/* what a container that has been started has */
	static const char *const files[] = {CGROUP_LINK, CONFIG_FILE, STATE_FILE};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(s->dir_fd, files[i], 0); /* rmdir tells */
	if (unlinkat(AT_FDCWD, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return file_remove_tree(AT_FDCWD, path, err);
}

/* -- the process --------------------------------------------------------------------------- */

int state_process_start_time(pid_t pid, uint64_t *ret)
{
	autofree char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
	char status, *p;
	int r = pid > 0 ? file_read(AT_FDCWD, path, 4096, &text, NULL, NULL) : -ESRCH;

	if (r < 0)
		return r == -ENOENT || r == -ESRCH ? 0 : r;
	p = strrchr(text, ')'); /* the name may hold anything */
	/* fields 3 (state) and 22 (starttime) */
	if (!p ||
	    sscanf(p + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
		   " %" SCNu64,
		   &status, ret) != 2)
		return -EBADMSG;
	return status != 'Z' && status != 'X';
}

/* 1, 0, or -errno: nobody knows. */
static int process_is_alive(const struct state *s)
{
	uint64_t start_time;
	int r = state_process_start_time(s->pid, &start_time);

	return r > 0 ? start_time == s->start_time : r;
}

int state_note_process(struct state *s, pid_t pid, struct error *err)
{
	int r = state_process_start_time(pid, &s->start_time);

	s->pid = pid;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "note the start time of process %d",
				 (int)pid)
		     : 0; /* dead already: the start time 0 says so */
}

/* Opened first, checked then. */
int state_open_process(const struct state *s)
{
	autoclose int pidfd = pidfd_of(s->pid);
	int r = pidfd < 0 ? pidfd : process_is_alive(s);

	return r > 0 ? TAKE_FD(pidfd) : r < 0 ? r : -ESRCH;
}

static int no_process(int r, struct error *err)
{
	return r == -ESRCH ? error_set(err, ERROR_CONFLICT, 0, "container not running")
			   : error_set(err, ERROR_INTERNAL, -r, "open the container's process");
}

int state_open_cgroup(const struct state *s, struct cgroup_layout **ret_layout, struct cgroup **ret,
		      struct error *err)
{
	int r;

	if (str_empty(s->cgroup_path))
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "cgroup");
	r = cgroup_layout_detect(ret_layout, err);
	return r < 0 ? r : cgroup_open(*ret_layout, s->cgroup_path, ret, err);
}

static bool is_unstarted(const struct state *s)
{
	return faccessat(s->dir_fd, START_SOCKET, F_OK, 0) == 0;
}

enum state_status state_status(const struct state *s)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	bool frozen = false;

	if (s->pid == 0)
		return STATE_CREATING;
	if (process_is_alive(s) == 0) /* when in doubt it runs: what has stopped may be deleted */
		return STATE_STOPPED;
	if (state_open_cgroup(s, &layout, &cg, NULL) == 0 &&
	    cgroup_is_frozen(cg, &frozen, NULL) == 0 && frozen)
		return STATE_PAUSED;
	return is_unstarted(s) ? STATE_CREATED : STATE_RUNNING;
}

const char *state_status_name(enum state_status status)
{
	static const char *const names[] = {
		[STATE_CREATING] = "creating", [STATE_CREATED] = "created",
		[STATE_RUNNING] = "running",   [STATE_PAUSED] = "paused",
		[STATE_STOPPED] = "stopped",
	};

	return names[status];
}

/* The directory by its fd: a socket's path holds 107 bytes. */
static void socket_address(const struct state *s, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" START_SOCKET,
		       s->dir_fd);
}

int state_create_container(struct state *s, const struct runtime_create_args *args,
			   struct runtime_container **ret, struct error *err)
{
	autoclose int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int r;

	socket_address(s, &address);
	if (listener < 0 ||
	    bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create the start socket");
	r = runtime_create_listening(args, listener, ret, err);
	if (r < 0) {
		(void)unlinkat(s->dir_fd, START_SOCKET, 0);
		return r;
	}
	return state_note_process(s, runtime_pid(*ret), err);
}

#define EXIT_TIMEOUT_MS 10000

int state_start_container(const struct state *s, struct error *err)
{
	autoclose int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	autoclose int pidfd = state_open_process(s);
	struct sockaddr_un address;
	int r;

	if (pidfd < 0)
		return pidfd == -ESRCH ? error_set(err, ERROR_CONFLICT, 0,
						   "cannot start a container that has stopped")
				       : no_process(pidfd, err);
	if (!is_unstarted(s))
		return error_set(err, ERROR_CONFLICT, 0,
				 "cannot start an already running container");
	socket_address(s, &address);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "reach the container's process");
	if (unlinkat(s->dir_fd, START_SOCKET, 0) < 0 && errno != ENOENT)
		return error_set(err, ERROR_INTERNAL, errno, "remove the start socket");
	r = launch_go(sock, err);
	/* It tells first and exits then, or we do not know: whoever looks next must find it stopped. */
	if (r < 0) {
		(void)pidfd_signal(pidfd, SIGKILL); /* gone already */
		(void)pidfd_wait(pidfd, EXIT_TIMEOUT_MS);
	}
	return r;
}

int state_open_container(const struct state *s, const struct oci_spec *spec,
			 const char *seccomp_cache_dir, struct runtime_container **ret,
			 struct error *err)
{
	autoclose int pidfd = state_open_process(s);
	const struct runtime_open_args args = {.id = s->id,
					       .bundle = s->bundle ? s->bundle : "/",
					       .spec = spec,
					       .pid = s->pid,
					       .pidfd = pidfd,
					       .cgroup_place = s->cgroup_path,
					       .no_new_keyring = s->no_new_keyring,
					       .own_time = s->own_time,
					       .seccomp_cache_dir = seccomp_cache_dir};

	if (pidfd < 0)
		return no_process(pidfd, err);
	return runtime_open(&args, ret, err);
}

int state_pause_container(const struct state *s, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	int r;

	if (process_is_alive(s) <= 0)
		return error_set(err, ERROR_CONFLICT, 0, "container not running");
	r = state_open_cgroup(s, &layout, &cg, err);
	return r < 0 ? r : cgroup_freeze(cg, true, err);
}

int state_resume_container(const struct state *s, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	int r;

	if (state_status(s) != STATE_PAUSED)
		return error_set(err, ERROR_CONFLICT, 0, "container not paused");
	r = state_open_cgroup(s, &layout, &cg, err);
	return r < 0 ? r : cgroup_freeze(cg, false, err);
}

int state_pids(const struct state *s, pid_t **ret, size_t *ret_count, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	autoerror struct error why = {0};
	int r = state_open_cgroup(s, &layout, &cg, &why);

	if (r == 0)
		return cgroup_pids(cg, ret, ret_count, err);
	if (r == -ENOENT && rootless_is())
		return rootless_pids(process_is_alive(s) ? s->pid : 0, ret, ret_count, err);
	return error_move(err, &why, r);
}

static int kill_without_cgroup(const struct state *s, int signo, struct error *err)
{
	autofree pid_t *pids = NULL;
	size_t n = 0;
	int r = state_pids(s, &pids, &n, err);

	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], signo); /* ESRCH: gone meanwhile */
	return r;
}

int state_kill_container(const struct state *s, int signo, bool all, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	autoclose int pidfd = -EBADF;
	bool frozen = false;
	int r;

	if (all) {
		autoerror struct error why = {0};

		r = state_open_cgroup(s, &layout, &cg, &why);
		if (r == -ENOENT && rootless_is())
			return kill_without_cgroup(s, signo, err);
		return r < 0 ? error_move(err, &why, r) : cgroup_kill(cg, signo, err);
	}
	pidfd = state_open_process(s);
	if (pidfd < 0)
		return no_process(pidfd, err);
	r = pidfd_signal(pidfd, signo);
	if (r < 0)
		return r == -ESRCH ? no_process(-ESRCH, err)
				   : error_set(err, ERROR_INTERNAL, -r,
					       "send signal %d to container '%s'", signo, s->id);
	/* v1: what is frozen does not even die. */
	if (signo == SIGKILL && state_open_cgroup(s, &layout, &cg, NULL) == 0 &&
	    cgroup_is_frozen(cg, &frozen, NULL) == 0 && frozen)
		return cgroup_freeze(cg, false, err);
	return 0;
}

void state_end_process(const struct state *s)
{
	autoclose int pidfd = state_open_process(s);

	if (pidfd < 0)
		return;
	(void)state_kill_container(s, SIGKILL, false, NULL); /* exited meanwhile */
	(void)pidfd_wait(pidfd, EXIT_TIMEOUT_MS);
}

int state_destroy_container(const struct state *s, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	int r;

	state_end_process(s);
	r = state_open_cgroup(s, &layout, &cg, NULL);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		return cgroup_destroy(cg, err);
	return error_set(err, ERROR_INTERNAL, -r, "open cgroup '%s'", s->cgroup_path);
}
