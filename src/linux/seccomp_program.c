/* Compiled seccomp filters: fetched from the cache or from the helper, and loaded. */
#include "linux/seccomp_program.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/seccomp_priv.h"

#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

/* Changes with whatever changes the helper's output for the same profile. */
#define CACHE_VERSION "vessel-seccomp 2"
#define KEY_MAX       ((size_t)1 << 20)
#define KEY_USUAL     ((size_t)12 << 10) /* Docker's profile takes half of it */

static_assert(sizeof(struct sock_filter) == sizeof(uint64_t), "a program is an array of 8 bytes");

void seccomp_program_done(struct seccomp_program *program)
{
	free(program->insns);
	*program = (struct seccomp_program){0};
}

/* Without what is the agent's: it may differ for each container, and the filter is the same. */
static void write_profile(struct strbuf *out, const struct json *profile)
{
	const struct json *v;
	struct json_writer w;
	const char *key;

	json_writer_init(&w, out);
	jw_object(&w);
	json_object_foreach(key, v, profile) {
		if (strcmp(key, "listenerPath") != 0 && strcmp(key, "listenerMetadata") != 0)
			jw_kvalue(&w, key, v);
	}
	jw_object_end(&w);
}

/* Returns where the profile's text begins. */
static size_t key_make(const struct json *profile, struct strbuf *ret)
{
	struct utsname uts = {0};
	size_t start;

	(void)strbuf_reserve(ret, KEY_USUAL);
	(void)uname(&uts); /* EFAULT only */
	strbuf_addf(ret, "%s\n%s %s\n", CACHE_VERSION, uts.release, uts.machine);
	start = ret->len;
	write_profile(ret, profile);
	return start;
}

/* FNV-1a: only a name; the key itself decides. */
static uint64_t key_hash(const struct strbuf *key)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < key->len; i++)
		h = (h ^ (unsigned char)key->s[i]) * 0x100000001b3;
	return h;
}

/* The data become the program. */
static int decode(char **data, size_t len, const struct strbuf *key, struct seccomp_program *ret)
{
	struct seccomp_header h;
	size_t key_len = key ? key->len : 0;

	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, *data, sizeof(h));
	if (memcmp(h.magic, SECCOMP_MAGIC, sizeof(h.magic)) != 0 || h.count == 0 ||
	    h.count > SECCOMP_INSNS_MAX || h.key_len != key_len ||
	    len != sizeof(h) + key_len + h.count * sizeof(uint64_t))
		return -EBADMSG;
	if (key && memcmp(*data + sizeof(h), key->s, key_len) != 0)
		return -ENOENT; /* another profile of the same hash */
	memmove(*data, *data + sizeof(h) + key_len, h.count * sizeof(uint64_t));
	ret->insns = (void *)*data;
	*data = NULL;
	ret->count = h.count;
	ret->flags = h.flags;
	return 0;
}

static int cache_read(int dir_fd, const char *name, const struct strbuf *key,
		      struct seccomp_program *ret)
{
	autofree char *data = NULL;
	size_t len = 0;
	int r = file_read(dir_fd, name,
			  sizeof(struct seccomp_header) + key->len + SECCOMP_INSNS_MAX * 8, &data,
			  &len, NULL);

	return r < 0 ? r : decode(&data, len, key, ret);
}

/* Losing an entry costs a compilation, so failures to write are nobody's concern. */
static void cache_write(int dir_fd, const char *name, const struct strbuf *key,
			const struct seccomp_program *program)
{
	autostrbuf struct strbuf out =
		STRBUF_INIT(sizeof(struct seccomp_header) + key->len + SECCOMP_INSNS_MAX * 8);
	struct seccomp_header h = {.key_len = (uint32_t)key->len,
				   .count = (uint32_t)program->count,
				   .flags = program->flags};

	memcpy(h.magic, SECCOMP_MAGIC, sizeof(h.magic));
	strbuf_add(&out, &h, sizeof(h));
	strbuf_add(&out, key->s, key->len);
	strbuf_add(&out, program->insns, program->count * sizeof(uint64_t));
	if (strbuf_error(&out) == 0)
		(void)file_write_atomic(dir_fd, name, out.s, out.len, 0600, 0, NULL);
}

static int output_fd(const char *name, struct error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd >= 0 ? fd : error_set(err, ERROR_INTERNAL, errno, "create a memfd");
}

static char *read_back(int fd, size_t max, size_t *ret_len)
{
	struct stat st;
	char *data;
	ssize_t n;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > max)
		return NULL;
	data = xcalloc(1, (size_t)st.st_size + 1);
	n = pread(fd, data, (size_t)st.st_size, 0);
	if (n != st.st_size) {
		free(data);
		return NULL;
	}
	*ret_len = (size_t)n;
	return data;
}

static int compile(const char *helper, const char *profile, struct seccomp_program *ret,
		   struct error *err)
{
	autoclose int in = fd_memfd("profile", profile, strlen(profile), err);
	autoclose int out = in < 0 ? in : output_fd("bpf", err);
	autoclose int messages = out < 0 ? out : output_fd("messages", err);
	const char *const argv[] = {helper, NULL};
	const char *const envp[] = {NULL};
	const struct spawn_fd fds[] = {{in, 0}, {out, 1}, {messages, 2}};
	const struct spawn_args args = {.path = helper,
					.exec_fd = -EBADF,
					.argv = argv,
					.envp = envp,
					.fds = fds,
					.fd_count = ARRAY_SIZE(fds)};
	autofree char *data = NULL, *text = NULL;
	siginfo_t info = {0};
	size_t len = 0, text_len = 0;
	pid_t pid;
	int r;

	if (messages < 0)
		return messages;
	r = spawn(&args, &pid, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "compile the seccomp profile");
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	data = read_back(out, sizeof(struct seccomp_header) + SECCOMP_INSNS_MAX * 8, &len);
	if (info.si_code == CLD_EXITED && info.si_status == 0 && data &&
	    decode(&data, len, NULL, ret) == 0)
		return 0;
	text = read_back(messages, 4096, &text_len);
	if (text)
		text[strcspn(text, "\n")] = '\0';
	/* Exit status 3 is the helper's for something it knows but cannot do. */
	return error_set(err, info.si_status == 3 ? ERROR_NOT_IMPLEMENTED : ERROR_INVALID, 0,
			 "linux.seccomp: %s", text_len ? text : "the compiler failed");
}

int seccomp_program_get(const struct seccomp_cache *cache, const struct json *profile,
			struct seccomp_program *ret, struct error *err)
{
	autostrbuf struct strbuf key = STRBUF_INIT(KEY_MAX);
	size_t start = key_make(profile, &key);
	autoclose int dir_fd = -EBADF;
	char name[32];
	int r;

	if (strbuf_error(&key) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "linux.seccomp");
	if (!cache->dir)
		return compile(cache->helper, key.s + start, ret, err);

	(void)snprintf(name, sizeof(name), "%016" PRIx64 ".bpf", key_hash(&key));
	dir_fd = open(cache->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open seccomp cache '%s'", cache->dir);
	if (cache_read(dir_fd, name, &key, ret) == 0)
		return 0;
	r = compile(cache->helper, key.s + start, ret, err);
	if (r == 0)
		cache_write(dir_fd, name, &key, ret);
	return r;
}

bool seccomp_program_notifies(const struct seccomp_program *program)
{
	return program->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
}

int seccomp_program_load(const struct seccomp_program *program, struct error *err)
{
	const struct sock_fprog prog = {.len = (unsigned short)program->count,
					.filter = (struct sock_filter *)(void *)program->insns};
	int r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program->flags, &prog);

	return r < 0 ? error_set(err, ERROR_INTERNAL, errno, "load the seccomp filter") : r;
}
