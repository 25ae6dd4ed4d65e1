/* engine/engine.c - open, close, and the parts that others borrow. */
#include "engine/engine.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/firewall.h"
#include "engine/lock.h"
#include "engine/reserve.h"
#include "engine/rows.h"
#include "engine/security.h"
#include "engine/shim_client.h"
#include "engine/standby.h"
#include "linux/projquota.h"
#include "linux/self.h"
#include "shim/protocol.h"

#define LOCK_WAIT_S     3                 /* for the last daemon to end */
#define EVENT_VALUE_MAX ((size_t)1 << 16) /* bytes of one setting in an event */

struct loop *engine_loop(struct engine *e)
{
	return e->args.loop;
}

struct pool *engine_pool(struct engine *e)
{
	return e->args.pool;
}

struct store *engine_store(struct engine *e)
{
	return e->store;
}

struct network_manager *engine_network(struct engine *e)
{
	return e->network;
}

const struct cgroup_layout *engine_cgroups(const struct engine *e)
{
	return e->cgroups;
}

struct event_log *engine_events(struct engine *e)
{
	return e->events;
}

const struct engine_args *engine_get_args(const struct engine *e)
{
	return &e->args;
}

/* ---- settings -------------------------------------------------------------------------------- */

const struct settings *engine_settings(const struct engine *e)
{
	return atomic_load(&e->settings);
}

const char *engine_id(const struct engine *e)
{
	return e->id;
}

static void add_settings(struct engine *e, struct settings *s)
{
	xgrow(e->all_settings, e->settings_count, e->settings_cap);
	e->all_settings[e->settings_count++] = s;
	atomic_store(&e->settings, s);
}

/* The event tells all that a reload can change, each value as text. */
void engine_set_settings(struct engine *e, struct settings *settings_take)
{
	autoarena struct arena *a = arena_new();
	struct event_attr attrs[SETTINGS_MAX];
	struct event ev = {.type = "daemon", .action = "reload", .id = e->id, .attrs = attrs};
	char host[HOST_NAME_MAX + 1] = "";

	add_settings(e, settings_take);
	(void)gethostname(host, sizeof(host) - 1);
	attrs[ev.attr_count++] = (struct event_attr){"name", host};
	for (size_t i = 0; settings_table[i].key; i++) {
		autostrbuf struct strbuf out = STRBUF_INIT(EVENT_VALUE_MAX);
		const struct json *v = settings_take->values[i];
		struct json_writer w;

		if (!(settings_table[i].flags & SETTING_RELOADABLE))
			continue;
		json_writer_init(&w, &out);
		settings_write(settings_take, i, &w);
		attrs[ev.attr_count++] = (struct event_attr){
			settings_table[i].key,
			json_string(v)  ? json_string(v)
			: *out.s == '"' ? arena_strndup(a, out.s + 1, out.len - 2)
					: arena_strdup(a, out.s),
		};
	}
	event_emit(e->events, &ev);
}

void engine_call(struct engine *e, loop_fn fn, void *data)
{
	/* Until engine_open returns, its thread is the owner and nobody runs the loop. */
	if (!e->opened)
		fn(data);
	else
		loop_call(e->args.loop, fn, data);
}

void engine_work(struct engine *e, loop_fn fn, void *data)
{
	pool_submit_urgent(e->args.pool, fn, data);
}

static void random_bytes(void *ret, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t r = getrandom((char *)ret + n, size - n, 0);

		if (r > 0)
			n += (size_t)r;
	}
}

void engine_new_id(char ret[static 65])
{
	uint8_t raw[32];

	do {
		random_bytes(raw, sizeof(raw));
		hex_encode(raw, sizeof(raw), ret);
		/* The first twelve become a hostname, which must not look like a number. */
	} while (strspn(ret, "0123456789") >= 12);
}

int engine_container_get(struct engine *e, const char *ref, struct container **ret,
			 struct error *err)
{
	struct container *c;
	int r = roster_find(e, ref, &c, err);

	if (r < 0)
		return r;
	/* Somebody may ask because of what the shim has told him: hear it first. */
	if (c->rt->shim)
		shim_client_drain(c->rt->shim);
	*ret = c;
	return 0;
}

struct container *const *engine_containers(struct engine *e, size_t *ret_n)
{
	for (size_t i = 0; i < e->container_count; i++)
		if (e->containers[i]->rt->shim)
			shim_client_drain(e->containers[i]->rt->shim);
	*ret_n = e->container_count;
	return e->containers;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_root(const char *path, mode_t mode, int *ret, struct error *err)
{
	int fd, r = file_mkdir_p(AT_FDCWD, path, mode, err);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open directory '%s'", path);
	*ret = fd;
	return 0;
}

static int lock_data_root(struct engine *e, struct error *err)
{
	e->lock_fd = openat(e->data_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (e->lock_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open lock in '%s'", e->data_root);
	/* One that was killed a moment ago may not be quite gone. */
	if (lock_within(e->args.pool, e->lock_fd, LOCK_WAIT_S) < 0)
		return error_set(err, ERROR_CONFLICT, 0,
				 "data root '%s' is in use by another vesseld", e->data_root);
	return 0;
}

/* Layers and volumes hold set-id programs that containers have put there; the host's users must not
 * reach them (CVE-2021-41091). */
#define DATA_ROOT_MODE 0710

static int open_dirs(struct engine *e, struct error *err)
{
	static const char *const data_dirs[] = {"containers", "volumes", "seccomp", "tmp"};
	int r = open_root(e->data_root, DATA_ROOT_MODE, &e->data_fd, err);

	/* Two engines in one place would clean up each other's files. */
	if (r >= 0 && faccessat(e->data_fd, "vessel.db", F_OK, 0) < 0 &&
	    faccessat(e->data_fd, "image", F_OK, 0) == 0)
		r = error_set(
			err, ERROR_INVALID, 0,
			"data root '%s' is dockerd's: choose another one, and bring images and "
			"volumes over with 'vessel system import-docker'",
			e->data_root);
	if (r >= 0 && fchmod(e->data_fd, DATA_ROOT_MODE) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "close '%s' to others", e->data_root);
	r = r < 0 ? r : open_root(e->exec_root, 0711, &e->exec_fd, err);
	r = r < 0 ? r : lock_data_root(e, err);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(data_dirs); i++)
		r = file_mkdir_p(e->data_fd, data_dirs[i], 0711, err);
	r = r < 0 ? r : file_mkdir_p(e->exec_fd, SHIM_NAMES_DIR, 0711, err);
	return r < 0 ? r : file_mkdir_p(e->exec_fd, "containers", 0711, err);
}

static int open_helpers(struct engine *e, struct error *err)
{
	autofree char *shim = self_helper("vessel-shim");
	const char *init = engine_settings(e)->init_path;

	e->helpers.init_path = *init ? xstrdup(init) : self_helper("vessel-init");
	e->helpers.own_init = !*init;
	e->helpers.seccomp_helper = self_helper("vessel-seccomp");
	e->helpers.log_helper = self_helper("vessel-log");
	if (!shim)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "vessel-shim is neither beside vesseld nor in libexec/vessel");
	/* A copy: a container can make its shim execute /proc/self/exe inside (CVE-2019-5736). */
	e->helpers.shim_fd = self_memfd(shim, err);
	return e->helpers.shim_fd < 0 ? e->helpers.shim_fd : 0;
}

static int open_layers(struct engine *e, struct error *err)
{
	static const char *const formats[] = {[STORE_LAYERS_AUTO] = "auto",
					      [STORE_LAYERS_DIRECTORY] = "directory",
					      [STORE_LAYERS_EROFS] = "erofs"};
	autofree char *holder = self_helper("vessel-layers");
	struct store_layers_args args = {.run_dir = e->exec_root, .holder = holder};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (str_eq(engine_settings(e)->layer_format, formats[i]))
			args.format = (enum store_layer_format)i;
	return store_layers_open(e->store, &args, err);
}

static int open_storage(struct engine *e, struct error *err)
{
	autostrv struct strv unfinished = {0};
	int r;

	reserve_use(e);
	r = db_open(e->data_fd, "vessel.db", &e->db, err);

	r = r < 0 ? r : rows_migrate(e->db, err);
	/* Before the store looks at the directories: those of creates that were cut short. */
	r = r < 0 ? r : restore_remove_unfinished(e, &unfinished, err);
	r = r < 0 ? r : store_open(e->data_fd, e->db, &e->store, err);
	r = r < 0 ? r : open_layers(e, err);
	if (r >= 0 && settings_storage_size(engine_settings(e)) > 0) {
		r = projquota_check(e->data_fd, err);
		if (r < 0)
			(void)error_wrap(err, r, "storage option overlay2.size");
	}
	for (size_t i = 0; r >= 0 && i < unfinished.n; i++)
		r = store_snapshot_remove(e->store, unfinished.v[i], err);
	return r;
}

/* default-address-pools; the caller frees *ret. */
static int read_pools(const struct json *list, struct network_pool **ret, size_t *ret_n,
		      struct error *err)
{
	autofree struct network_pool *pools = xnew0n(struct network_pool, json_count(list) + 1);
	size_t n = 0;
	const struct json *v;

	json_array_foreach(v, list) {
		struct network_pool *p = &pools[n++];
		const char *base = json_get_string(v, "base");
		int64_t size = json_get_int(v, "size");

		if (netaddr_prefix_parse(base, &p->base) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid base pool \"%s\"", base);
		if (size < p->base.len || size > netaddr_bits(&p->base.addr) - 1)
			return error_set(
				err, ERROR_INVALID, 0,
				"invalid pool size: %lld is not between that of \"%s\" and "
				"a single address",
				(long long)size, base);
		p->size = (uint8_t)size;
	}
	*ret = TAKE_PTR(pools);
	*ret_n = n;
	return 0;
}

static int open_network(struct engine *e, struct error *err)
{
	const struct settings *s = engine_settings(e);
	autofree struct network_pool *pools = NULL;
	struct network_config config = {
		.link = s->bridge,
		.bip = s->bip,
		.bip6 = s->bip6,
		.fixed_cidr = s->fixed_cidr,
		.fixed_cidr6 = s->fixed_cidr6,
		.host_ip = s->host_ip,
		.mtu = (unsigned)s->mtu,
		.no_ipv6 = !s->ipv6,
		.no_icc = !s->icc,
		.no_masquerade = !s->ip_masq,
		.no_forward = !s->ip_forward,
	};
	int r = read_pools(s->address_pools, &pools, &config.pool_count, err);

	config.pools = pools;
	return r < 0 ? r : network_open(&config, &e->network, err);
}

static void take_args(struct engine *e, const struct engine_args *args)
{
	const struct settings *s = args->settings;

	e->args = *args;
	add_settings(e, args->settings);
	e->data_root = e->args.data_root = s->data_root;
	e->exec_root = e->args.exec_root = s->exec_root;
	e->cgroup_parent = e->args.cgroup_parent = s->cgroup_parent;
	e->seccomp_cache = xasprintf("%s/seccomp", s->data_root);
	e->data_fd = e->exec_fd = e->lock_fd = e->helpers.shim_fd = -EBADF;
}

/* Who this engine is: made once for a data root. */
static int open_id(struct engine *e, struct error *err)
{
	autofree char *text = NULL;
	autoerror struct error why = {0};
	uint8_t raw[16];
	char hex[33];
	size_t len;
	int r = file_read(e->data_fd, "engine-id", sizeof(e->id), &text, &len, &why);

	if (r >= 0 && strspn(text, "0123456789abcdef-") == sizeof(e->id) - 1) {
		memcpy(e->id, text, sizeof(e->id) - 1);
		return 0;
	}
	if (r < 0 && r != -ENOENT)
		return error_move(err, &why, r);
	random_bytes(raw, sizeof(raw));
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562: version 4, variant 1 */
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	hex_encode(raw, sizeof(raw), hex);
	(void)snprintf(e->id, sizeof(e->id), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		       hex + 16, hex + 20);
	return file_write_atomic(e->data_fd, "engine-id", e->id, strlen(e->id), 0600, 0, err);
}

static int open_remap(struct engine *e, struct error *err)
{
	autoclose int etc_fd = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (str_empty(engine_settings(e)->userns_remap))
		return 0;
	if (etc_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /etc");
	return remap_open(engine_settings(e)->userns_remap, etc_fd, &e->remap, err);
}

bool engine_is_remapped(const struct engine *e)
{
	return e->remap.uids.n > 0;
}

int engine_open(const struct engine_args *args, struct engine **ret, struct error *err)
{
	struct engine *e = xnew0(struct engine);

	(void)pthread_mutex_init(&e->releases.lock, NULL);
	(void)pthread_cond_init(&e->releases.changed, NULL);
	(void)pthread_mutex_init(&e->names_lock, NULL);
	(void)pthread_mutex_init(&e->volumes_lock, NULL);
	(void)pthread_mutex_init(&e->populate_lock, NULL);
	autoerror struct error warning = {0};
	int r;

	take_args(e, args);
	e->events = event_log_new();
	r = open_dirs(e, err);
	r = r < 0 ? r : open_id(e, err);
	r = r < 0 ? r : open_helpers(e, err);
	r = r < 0 ? r : open_storage(e, err);
	r = r < 0 ? r : open_network(e, err);
	if (r >= 0 && cgroup_layout_detect(&e->cgroups, &warning) < 0)
		log_warn("containers cannot be limited: %s", error_msg(&warning));
	r = r < 0 ? r : open_remap(e, err);
	r = r < 0 ? r : security_open(e, err);
	r = r < 0 ? r : restore_containers(e, err);
	if (r < 0) {
		(void)engine_close(e);
		return r;
	}
	reserve_renew(e);
	firewall_watch(e);
	e->opened = true;
	connect_settle(e);
	*ret = e;
	return 0;
}

static void maintain(void *data)
{
	reserve_renew(data);
}

void engine_maintain(struct engine *e)
{
	pool_submit(e->args.pool, maintain, e);
	if (!engine_has_space(e))
		return;
	for (size_t i = 0; i < e->container_count; i++) {
		struct container *c = e->containers[i];

		if (!c->rt->unsaved)
			continue;
		c->rt->unsaved = false;
		rows_post_state(e->db, c);
	}
}

void engine_make_room(struct engine *e)
{
	reserve_use(e);
}

static bool any_runs(const struct engine *e)
{
	for (size_t i = 0; i < e->container_count; i++)
		if (e->containers[i]->state.pid != 0)
			return true;
	return false;
}

void engine_leave(struct engine *e)
{
	if (!any_runs(e))
		store_layers_release(e->store);
}

struct engine *engine_close(struct engine *e)
{
	if (!e)
		return NULL;
	firewall_unwatch(e);
	boot_done(e);
	e->opened = false; /* the loop has ended: this thread owns everything again */
	standby_close(e);
	while (e->container_count > 0)
		roster_remove(e, e->containers[0]);
	free(e->containers);
	free(e->by_id);
	strv_done(&e->reserved_names);
	strv_done(&e->reserved_levels);
	label_policy_done(&e->security.labels);
	free(e->security.seccomp);
	e->network = network_close(e->network);
	e->store = store_free(e->store);
	e->db = db_free(e->db);
	e->events = event_log_free(e->events);
	e->cgroups = cgroup_layout_free(e->cgroups);
	fd_close(&e->helpers.shim_fd);
	free(e->helpers.init_path);
	free(e->helpers.seccomp_helper);
	free(e->helpers.log_helper);
	fd_close(&e->lock_fd);
	fd_close(&e->data_fd);
	fd_close(&e->exec_fd);
	free(e->seccomp_cache);
	for (size_t i = 0; i < e->settings_count; i++)
		(void)settings_free(e->all_settings[i]);
	free(e->all_settings);
	(void)pthread_mutex_destroy(&e->releases.lock);
	(void)pthread_cond_destroy(&e->releases.changed);
	(void)pthread_mutex_destroy(&e->names_lock);
	remap_done(&e->remap);
	(void)pthread_mutex_destroy(&e->volumes_lock);
	(void)pthread_mutex_destroy(&e->populate_lock);
	volumes_done(&e->volumes);
	free(e);
	return NULL;
}
