/* engine/dump.c - what is going on, for whoever looks for what hangs or grows. */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/event.h"
#include "engine/operation.h"

#define PROC_MAX 4096 /* bytes of a file of a thread */

void engine_get_counts(const struct engine *e, struct engine_counts *ret)
{
	*ret = (struct engine_counts){.health_checks = e->health_checks,
				      .health_failures = e->health_failures};
	event_log_counts(e->events, &ret->events, &ret->subscribers);
	for (size_t i = 0; i < e->container_count; i++) {
		const struct container_runtime *rt = e->containers[i]->rt;

		ret->shims += rt->shim != NULL;
		for (const struct operation *op = rt->ops; op; op = op->next)
			ret->operations++;
	}
}

static void dump_container(const struct container *c, struct strbuf *out)
{
	static const struct {
		size_t offset;
		const char *word;
	} words[] = {
		{offsetof(struct container_runtime, starting), "starting"},
		{offsetof(struct container_runtime, removing), "removing"},
		{offsetof(struct container_runtime, restarting), "restarting"},
		{offsetof(struct container_runtime, exit_pending), "exit-pending"},
		{offsetof(struct container_runtime, shim_lost), "shim-lost"},
		{offsetof(struct container_runtime, unsaved), "unsaved"},
		{offsetof(struct container_runtime, unreadable), "unreadable"},
		{offsetof(struct container_runtime, stopped_by_user), "stopped-by-user"},
	};
	const struct container_runtime *rt = c->rt;
	unsigned held = 0, waiting = 0;

	for (const struct held_client *h = rt->held; h; h = h->next)
		held++;
	for (const struct exit_waiter *w = rt->exits; w; w = w->next)
		waiting++;
	strbuf_addf(out,
		    "%.12s %s: %s, pid %d, shim %d%s, %u references, %zu execs, %u clients held, "
		    "%u wait for its end",
		    c->id, c->name, container_status_name(c->state.status), (int)c->state.pid,
		    (int)rt->shim_pid, rt->shim ? "" : " (none)", rt->refs, c->exec_count, held,
		    waiting);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (*(const bool *)((const char *)rt + words[i].offset))
			strbuf_addf(out, ", %s", words[i].word);
	strbuf_addc(out, '\n');
	for (const struct operation *op = rt->ops; op; op = op->next)
		strbuf_addf(out, "    %s %s\n",
			    op == rt->ops ? "in progress:" : "waits:", op->name);
}

static void add_file(struct strbuf *out, int dir_fd, const char *thread, const char *name)
{
	autofree char *path = xasprintf("%s/%s", thread, name);
	autofree char *text = NULL;
	size_t len;

	if (file_read(dir_fd, path, PROC_MAX, &text, &len, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	strbuf_addf(out, " %s", text);
}

/* Where each one is: its system call and the kernel's function. */
static void dump_threads(struct strbuf *out)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		strbuf_addf(out, "%s:", entry->d_name);
		add_file(out, fd, entry->d_name, "comm");
		add_file(out, fd, entry->d_name, "wchan");
		add_file(out, fd, entry->d_name, "syscall");
		strbuf_addc(out, '\n');
	}
	(void)closedir(dir);
}

static void dump_descriptors(struct strbuf *out)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	char target[256];
	unsigned n = 0;

	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		strbuf_addf(out, "%s: %s\n", entry->d_name, target);
		n++;
	}
	if (dir)
		(void)closedir(dir);
	strbuf_addf(out, "%u in all\n", n);
}

void engine_dump(struct engine *e, struct strbuf *out)
{
	struct mallinfo2 heap = mallinfo2();
	struct engine_counts counts;

	engine_get_counts(e, &counts);
	strbuf_addf(out, "\n== containers (%zu, %zu with a shim, %zu operations)\n",
		    e->container_count, counts.shims, counts.operations);
	for (size_t i = 0; i < e->container_count; i++)
		dump_container(e->containers[i], out);
	strbuf_addf(out,
		    "\n== memory\nin use %zu bytes, free in the heap %zu, mapped %zu; %llu events, "
		    "%zu subscribers\n",
		    heap.uordblks, heap.fordblks, heap.hblkhd, (unsigned long long)counts.events,
		    counts.subscribers);
	strbuf_adds(out, "\n== threads (name, where in the kernel, system call)\n");
	dump_threads(out);
	strbuf_adds(out, "\n== descriptors\n");
	dump_descriptors(out);
}
