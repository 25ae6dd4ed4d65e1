/* What create fills in, as dockerd does. */
#include <string.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/mem.h"
#include "engine/config_priv.h"

#define SHM_SIZE_DEFAULT ((int64_t)64 << 20) /* bytes */

/* Docker's: they hide what tells of, or reaches, the machine as a whole. */
const char *const config_masked_paths[] = {
	"/proc/asound",
	"/proc/acpi",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
	NULL,
};
const char *const config_readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

bool config_cgroup_is_v2(void)
{
	struct statfs st;

	return statfs("/sys/fs/cgroup", &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

static struct json_strings list_of(struct arena *a, const char *const *v)
{
	struct json_strings list = {0};

	while (v[list.n])
		list.n++;
	list.v = arena_new0n(a, const char *, list.n + 1);
	memcpy((void *)list.v, (const void *)v, list.n * sizeof(*v));
	return list;
}

static struct json_strings list_with(struct arena *a, const struct json_strings *list,
				     const char *last)
{
	struct json_strings longer = {.n = list->n + 1};

	longer.v = arena_new0n(a, const char *, longer.n + 1);
	for (size_t i = 0; i < list->n; i++)
		longer.v[i] = list->v[i];
	longer.v[list->n] = last;
	return longer;
}

static const char *fill(const char *s, const char *value)
{
	return *s ? s : value;
}

void config_defaults(struct container_spec *s)
{
	static const bool no;
	struct host_config *h = &s->host;
	struct config_security security;
	bool v2 = config_cgroup_is_v2();

	if (*h->network_mode == '\0' || strcmp(h->network_mode, "default") == 0)
		h->network_mode = s->config.network_disabled ? "none" : "bridge";
	for (size_t i = 0; i < s->endpoint_count; i++)
		if (strcmp(s->endpoints[i].network, "default") == 0)
			s->endpoints[i].network = h->network_mode;
	h->log.type = fill(h->log.type, "json-file");
	h->restart.name = fill(h->restart.name, "no");
	h->ipc_mode = fill(h->ipc_mode, "private");
	h->runtime = fill(h->runtime, "vessel");
	if (*h->cgroupns_mode == '\0')
		h->cgroupns_mode = v2 ? "private" : "host";
	if (h->shm_size == 0)
		h->shm_size = SHM_SIZE_DEFAULT;
	if (h->memory > 0 && h->memory_swap == 0)
		h->memory_swap = h->memory * 2;
	if (v2)
		h->oom_kill_disable = NULL; /* there is no such thing */
	else if (!h->oom_kill_disable)
		h->oom_kill_disable = &no;
	if (config_security_parse(&h->security_opt, &security, NULL) < 0)
		security = (struct config_security){0};
	/* Labels would keep such a container from what it is given of the host. */
	if (!security.has_label &&
	    (h->privileged || strcmp(h->pid_mode, "host") == 0 || strcmp(h->ipc_mode, "host") == 0))
		h->security_opt = list_with(s->arena, &h->security_opt, "label=disable");
	if (h->privileged || security.unconfined_paths)
		return;
	if (!h->masked_paths.v)
		h->masked_paths = list_of(s->arena, config_masked_paths);
	if (!h->readonly_paths.v)
		h->readonly_paths = list_of(s->arena, config_readonly_paths);
}
