/* Statistics: which controller is where, and what both versions write alike. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"

void cgroup_parse_list(const char *text, uint16_t **ret, size_t *ret_count)
{
	uint16_t *v = NULL;
	size_t n = 0, cap = 0;

	for (const char *p = text; *p >= '0' && *p <= '9';) {
		char *end = NULL;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i <= UINT16_MAX; i++) {
			xgrow(v, n, cap);
			v[n++] = (uint16_t)i;
		}
		p = end + (*end == ',');
	}
	*ret = v;
	*ret_count = n;
}

void cgroup_add_memory_stats(int fd, struct cgroup_stats *s)
{
	autofree char *text = cgroup_read_text(fd, "memory.stat");
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (!space || s->memory_stat_count == CGROUP_MEMORY_STATS)
			continue;
		*space = '\0';
		if (str_copy(s->memory_stat[s->memory_stat_count].name,
			     sizeof(s->memory_stat[0].name), line) &&
		    str_parse_u64(space + 1, &s->memory_stat[s->memory_stat_count].value) == 0)
			s->memory_stat_count++;
	}
}

void cgroup_add_io_entry(struct cgroup_stats *s, enum cgroup_io_table table,
			 const struct cgroup_io_entry *entry)
{
	struct cgroup_io_entries *t = &s->io_tables[table];

	t->v = xrealloc(t->v, t->n + 1, sizeof(*t->v));
	t->v[t->n++] = *entry;
}

/* -- huge pages: one set of files a size, whose names tell the sizes ------------------------- */

struct hugetlb_files {
	const char *usage, *max, *failcnt; /* behind "hugetlb.SIZE."; failcnt: a file, or NULL */
	const char *reserved;              /* preferred to usage where there is one, or NULL */
};
static const struct hugetlb_files v1_hugetlb = {"usage_in_bytes", "max_usage_in_bytes", "failcnt",
						"rsvd.usage_in_bytes"};
static const struct hugetlb_files v2_hugetlb = {"current", NULL, NULL, "rsvd.current"};

static bool read_hugetlb(int fd, const char *size, const char *name, uint64_t *ret)
{
	autofree char *file = xasprintf("hugetlb.%s.%s", size, name);

	return cgroup_read_u64(fd, file, ret);
}

static void add_hugetlb(int fd, const struct hugetlb_files *files, const char *size,
			struct cgroup_stats *s)
{
	struct cgroup_hugetlb_stat h = {0};
	autofree char *events = NULL, *text = NULL;

	if (!str_copy(h.page_size, sizeof(h.page_size), size))
		return;
	if (!read_hugetlb(fd, size, files->reserved, &h.usage))
		(void)read_hugetlb(fd, size, files->usage, &h.usage);
	if (files->max)
		(void)read_hugetlb(fd, size, files->max, &h.max);
	if (files->failcnt) {
		(void)read_hugetlb(fd, size, files->failcnt, &h.failcnt);
	} else {
		events = xasprintf("hugetlb.%s.events", size);
		text = cgroup_read_text(fd, events);
		if (text)
			(void)cgroup_flat_get(text, "max", &h.failcnt);
	}
	s->hugetlb = xrealloc(s->hugetlb, s->hugetlb_count + 1, sizeof(*s->hugetlb));
	s->hugetlb[s->hugetlb_count++] = h;
}

static void read_hugetlbs(int dir_fd, const struct hugetlb_files *files, struct cgroup_stats *s)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *suffix = xasprintf(".%s", files->usage);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		fd_close(&fd);
	while (dir && (entry = readdir(dir))) {
		autofree char *size = NULL;

		if (!str_has_prefix(entry->d_name, "hugetlb.") ||
		    !str_has_suffix(entry->d_name, suffix))
			continue;
		size = xstrndup(entry->d_name + strlen("hugetlb."),
				strcspn(entry->d_name + strlen("hugetlb."), "."));
		if (strlen(entry->d_name) == strlen("hugetlb.") + strlen(size) + strlen(suffix))
			add_hugetlb(dir_fd, files, size, s);
	}
	if (dir)
		(void)closedir(dir);
}

/* -- RDMA: "mlx4_0 hca_handle=1 hca_object=20", and "max" ------------------------------------ */

static uint64_t rdma_value(const char *line, const char *key)
{
	const char *p = strstr(line, key);

	if (!p)
		return 0;
	p += strlen(key);
	return strncmp(p, "max", 3) == 0 ? UINT64_MAX : strtoull(p, NULL, 10);
}

static struct cgroup_rdma_stat *rdma_entry(struct cgroup_stats *s, const char *device)
{
	for (size_t i = 0; i < s->rdma_count; i++)
		if (strcmp(s->rdma[i].device, device) == 0)
			return &s->rdma[i];
	s->rdma = xrealloc(s->rdma, s->rdma_count + 1, sizeof(*s->rdma));
	s->rdma[s->rdma_count] = (struct cgroup_rdma_stat){0};
	(void)str_copy(s->rdma[s->rdma_count].device, sizeof(s->rdma[0].device), device);
	return &s->rdma[s->rdma_count++];
}

static void read_rdma(int fd, struct cgroup_stats *s)
{
	static const char *const files[] = {"rdma.current", "rdma.max"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *text = cgroup_read_text(fd, files[i]);
		char *save = NULL;

		for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save)) {
			char *rest = strchr(line, ' ');
			struct cgroup_rdma_stat *r;

			if (!rest)
				continue;
			*rest++ = '\0';
			r = rdma_entry(s, line);
			*(i == 0 ? &r->handles : &r->handles_limit) =
				rdma_value(rest, "hca_handle=");
			*(i == 0 ? &r->objects : &r->objects_limit) =
				rdma_value(rest, "hca_object=");
		}
	}
}

/* -- dispatch -------------------------------------------------------------------------------- */

static void read_more(const struct cgroup *cg, struct cgroup_stats *s)
{
	int v2 = cgroup_v2_dir(cg), hugetlb = cgroup_v1_dir(cg, "hugetlb");
	int rdma = cgroup_v1_dir(cg, "rdma"), cpuset = cgroup_v1_dir(cg, "cpuset");

	if (hugetlb >= 0)
		read_hugetlbs(hugetlb, &v1_hugetlb, s);
	else if (v2 >= 0)
		read_hugetlbs(v2, &v2_hugetlb, s);
	if (rdma >= 0 || v2 >= 0)
		read_rdma(rdma >= 0 ? rdma : v2, s);
	if (cpuset >= 0)
		cgroup_v1_cpuset_stats(cpuset, s);
	else if (v2 >= 0)
		cgroup_v2_cpuset_stats(v2, s);
	if (v2 >= 0)
		cgroup_v2_psi_stats(v2, s);
}

static int read_stats(const struct cgroup *cg, bool all, struct cgroup_stats *s, struct error *err)
{
	int v2 = cgroup_v2_dir(cg), memory = cgroup_v1_dir(cg, "memory");
	int pids = cgroup_v1_dir(cg, "pids"), io = cgroup_v1_dir(cg, "blkio");

	if (cgroup_process_dir(cg) < 0)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "cgroup '%s'", cg->path);
	*s = (struct cgroup_stats){
		.is_v2 = memory < 0, .memory_limit = UINT64_MAX, .pids_limit = UINT64_MAX};
	if (memory >= 0)
		cgroup_v1_memory_stats(memory, all, s);
	else if (v2 >= 0)
		cgroup_v2_memory_stats(v2, all, s);
	if (cgroup_v1_dir(cg, "cpuacct") >= 0 || cgroup_v1_dir(cg, "cpu") >= 0)
		cgroup_v1_cpu_stats(cg, all, s);
	else if (v2 >= 0)
		cgroup_v2_cpu_stats(v2, s);
	pids = pids >= 0 ? pids : v2;
	s->has_pids = cgroup_read_u64(pids, "pids.current", &s->pids_current);
	(void)cgroup_read_u64(pids, "pids.max", &s->pids_limit);
	if (io >= 0)
		cgroup_v1_io_stats(io, all, s);
	else if (v2 >= 0)
		cgroup_v2_io_stats(v2, all, s);
	if (all)
		read_more(cg, s);
	return 0;
}

int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret, struct error *err)
{
	return read_stats(cg, false, ret, err);
}

int cgroup_stats_read_all(const struct cgroup *cg, struct cgroup_stats *ret, struct error *err)
{
	return read_stats(cg, true, ret, err);
}

void cgroup_stats_done(struct cgroup_stats *s)
{
	free(s->percpu_ns);
	free(s->percpu_user_ns);
	free(s->percpu_kernel_ns);
	free(s->io);
	for (size_t i = 0; i < CGROUP_IO_TABLES; i++)
		free(s->io_tables[i].v);
	free(s->hugetlb);
	free(s->rdma);
	free(s->cpuset.cpus);
	free(s->cpuset.mems);
	*s = (struct cgroup_stats){0};
}
