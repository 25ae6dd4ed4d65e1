#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/cgroup.h"
#include "oci/runtime_spec.h"

#define BOX_ID     "vessel-runtime-test"
#define BOX_CGROUP "/vessel-runtime-test"

char box_dir[] = "/tmp/vessel-runtime-test-XXXXXX";

static const char *const applets[] = {"sh",    "cat",  "ls",   "id",       "echo",  "sleep",
				      "mkdir", "true", "stat", "touch",    "mount", "hostname",
				      "env",   "kill", "grep", "readlink", "tty",   "stty",
				      "pwd",   "dd",   "ip",   "head",     "tail",  "wc",
				      "chmod", "ln",   "test", "rm",       "ps",    "umount"};

static int dir_fd = -EBADF;

static void copy_file(const char *from, const char *to, mode_t mode)
{
	autofree char *data = NULL;
	size_t len = 0;
	int fd;

	assert_true(file_read(AT_FDCWD, from, (size_t)64 << 20, &data, &len, NULL) >= 0);
	fd = openat(dir_fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, len), 0);
	(void)close(fd);
}

const char *box_program(const char *name)
{
	static char path[PATH_MAX];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	assert_true(n > 0);
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	/* build/tests/integration -> build/src/bin */
	(void)snprintf(path, sizeof(path), "%.2000s/../../src/bin/%.200s", self, name);
	return path;
}

int box_setup(void **state)
{
	static const char *const dirs[] = {"bundle",
					   "bundle/rootfs",
					   "bundle/rootfs/bin",
					   "bundle/rootfs/etc",
					   "bundle/rootfs/tmp",
					   "bundle/rootfs/dev",
					   "bundle/rootfs/proc",
					   "bundle/rootfs/sys",
					   "bundle/rootfs/sbin",
					   "tmp"};

	(void)state;
	if (geteuid() != 0) {
		print_error("these tests need root\n");
		return -1;
	}
	if (!mkdtemp(box_dir))
		return -1;
	dir_fd = open(box_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(dir_fd, dirs[i], 0755) < 0)
			return -1;
	if (fchmod(dir_fd, 0755) < 0 || fchmodat(dir_fd, "tmp", 01777, 0) < 0)
		return -1;
	copy_file("/bin/busybox", "bundle/rootfs/bin/busybox", 0755);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		autofree char *path = xasprintf("bundle/rootfs/bin/%s", applets[i]);

		if (symlinkat("busybox", dir_fd, path) < 0)
			return -1;
	}
	return 0;
}

int box_teardown(void **state)
{
	(void)state;
	if (dir_fd >= 0) {
		autocgrouplayout struct cgroup_layout *layout = NULL;
		autocgroup struct cgroup *cg = NULL;

		if (cgroup_layout_detect(&layout, NULL) == 0 &&
		    cgroup_open(layout, BOX_CGROUP, &cg, NULL) == 0)
			(void)cgroup_destroy(cg, NULL); /* the audit of residue would tell */
		fd_close(&dir_fd);
		return file_remove_tree(AT_FDCWD, box_dir, NULL);
	}
	return 0;
}

static char *config(const struct box *b)
{
	struct strbuf text = STRBUF_INIT((size_t)1 << 20), script = STRBUF_INIT(65536);
	struct json_writer w;

	json_writer_init(&w, &script);
	jw_string(&w, b->script ? b->script : "true");
	strbuf_addf(&text, "{\"ociVersion\":\"1.2.0\",\"hostname\":\"box\",\"root\":%s,",
		    b->root ? b->root : "{\"path\":\"rootfs\"}");
	if (b->args)
		strbuf_addf(&text, "\"process\":{\"args\":[%s]", b->args);
	else
		strbuf_addf(&text, "\"process\":{\"args\":[\"sh\",\"-c\",%s]", script.s);
	if (!b->process || !strstr(b->process, "\"cwd\""))
		strbuf_adds(&text, ",\"cwd\":\"/\"");
	if (!b->process || !strstr(b->process, "\"env\""))
		strbuf_adds(&text, ",\"env\":[\"PATH=/bin:/sbin\"]");
	strbuf_addf(
		&text, ",\"capabilities\":%s",
		b->caps ? b->caps
			: "{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\","
			  "\"CAP_CHOWN\"],\"permitted\":[\"CAP_KILL\",\"CAP_CHOWN\"]}");
	strbuf_addf(&text, "%s},", b->process ? b->process : "");
	strbuf_addf(
		&text,
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["
		"\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
		"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
		"\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\","
		"\"mode=0620\"]},"
		"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":["
		"\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
		"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}%s],",
		b->mounts ? b->mounts : "");
	strbuf_addf(&text, "\"linux\":{\"namespaces\":[%s],\"cgroupsPath\":\"%s%s\"%s}%s}",
		    b->namespaces ? b->namespaces : BOX_NAMESPACES,
		    b->no_cgroup ? "" : BOX_CGROUP "/",
		    b->no_cgroup ? ""
		    : b->cgroup  ? b->cgroup
				 : "first",
		    b->linux_ ? b->linux_ : "", b->top ? b->top : "");
	strbuf_done(&script);
	return strbuf_take(&text);
}

int box_create(const struct box *b, struct box_run *ret, struct error *err)
{
	autofree char *text = config(b);
	autoclose int bundle = openat(dir_fd, "bundle", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofree char *helper = xstrdup(box_program("vessel-seccomp"));
	struct runtime_create_args args;
	int out[2], r;

	*ret = (struct box_run){.nested = b->nested, .out_fd = -EBADF};
	ret->arena = arena_new();
	ret->spec = arena_new0(ret->arena, struct oci_spec);
	r = oci_spec_parse(ret->arena, text, strlen(text), ret->spec, err);
	if (r < 0)
		return r;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	args = (struct runtime_create_args){.id = BOX_ID,
					    .spec = ret->spec,
					    .bundle_fd = bundle,
					    .rootfs = b->rootfs,
					    .stdio = {-1, out[1], out[1]},
					    .seccomp_helper = helper,
					    .seccomp_cache_dir = b->seccomp_cache_dir,
					    .init_path = b->init_path,
					    .on_namespaces = b->on_namespaces,
					    .data = b->data};
	r = runtime_create(&args, &ret->c, err);
	(void)close(out[1]);
	ret->out_fd = out[0];
	return r;
}

int box_start(struct box_run *r, struct error *err)
{
	return runtime_start(r->c, err);
}

size_t box_read_all(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	/* a terminal ends with EIO */
	while (len + 1 < size && (n = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return len;
}

int box_wait(pid_t pid)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		return -1;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static void check_residue(bool nested)
{
	static const char *const controllers[] = {"pids", "memory", "cpu", "freezer", "unified"};
	autofree char *mounts = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		autofree char *path = xasprintf("/sys/fs/cgroup/%s" BOX_CGROUP "/%s",
						controllers[i], nested ? "second" : "first");

		if (access(path, F_OK) == 0)
			fail_msg("cgroup left: %s", path);
	}
	assert_true(file_read(AT_FDCWD, "/proc/self/mountinfo", (size_t)4 << 20, &mounts, NULL,
			      NULL) >= 0);
	assert_lacks(mounts, box_dir);
	if (nested)
		return;
	/* no children: neither a process 1 nor a helper */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

void box_done(struct box_run *r)
{
	if (r->c) {
		pid_t pid = runtime_pid(r->c);

		assert_int_equal(runtime_delete(r->c, NULL), 0);
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
	}
	r->c = runtime_free(r->c);
	r->arena = arena_free(r->arena);
	fd_close(&r->out_fd);
	check_residue(r->nested);
}

void box_finish(struct box_run *r, struct box_result *ret)
{
	struct error err = {0};

	(void)box_read_all(r->out_fd, ret->out, sizeof(ret->out));
	ret->status = box_wait(runtime_pid(r->c));
	if (runtime_delete(r->c, &err) < 0)
		fail_msg("delete: %s", error_msg(&err));
	r->c = runtime_free(r->c);
	box_done(r);
}

void box_run(const struct box *b, struct box_result *ret)
{
	struct error err = {0};
	struct box_run r;

	if (box_create(b, &r, &err) < 0)
		fail_msg("create: %s", error_msg(&err));
	if (box_start(&r, &err) < 0)
		fail_msg("start: %s", error_msg(&err));
	box_finish(&r, ret);
}

void box_fail(const struct box *b, struct error *ret)
{
	struct box_run r;
	int created;

	*ret = (struct error){0};
	created = box_create(b, &r, ret);
	if (created == 0 && box_start(&r, ret) == 0)
		fail_msg("the container runs, and should not");
	assert_non_null(ret->msg);
	box_done(&r);
}

int box_exec(struct box_run *r, const char *args, const char *process, char *out, size_t size,
	     struct error *err)
{
	autofree char *text = xasprintf("{\"args\":[%s],\"cwd\":\"/\",\"env\":[\"PATH=/bin\"],"
					"\"capabilities\":{\"bounding\":[\"CAP_KILL\"]}%s}",
					args, process ? process : "");
	autoarena struct arena *a = arena_new();
	struct runtime_exec_process p;
	struct oci_process proc;
	const struct json *v;
	int fds[2], ret;
	struct runtime_exec_args exec_args = {.container = r->c, .process = &proc};

	assert_int_equal(json_parse(a, text, strlen(text), &v, NULL), 0);
	ret = oci_process_parse(a, v, &proc, err);
	if (ret < 0)
		return ret;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	exec_args.stdio[0] = -1;
	exec_args.stdio[1] = exec_args.stdio[2] = fds[1];
	ret = runtime_exec(&exec_args, &p, err);
	(void)close(fds[1]);
	if (ret == 0) {
		(void)box_read_all(p.console_fd >= 0 ? p.console_fd : fds[0], out, size);
		ret = box_wait(p.pid);
		fd_close(&p.pidfd);
		fd_close(&p.console_fd);
	}
	(void)close(fds[0]);
	return ret;
}
