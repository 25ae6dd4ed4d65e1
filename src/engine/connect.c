/* engine/connect.c - containers join and leave networks, at rest or while they run.
 *
 * What is asked for goes into the container's configuration and its row; what a running one has, into
 * its endpoints and theirs.  The row of an endpoint is there before its link, as at a start.
 *
 * With one that runs it is many steps: rows, link, gateway, ports, files.  So the intention is noted in
 * exec-root/containers/<id>/connect (a file system that ends with the containers) until all is done.  An
 * engine that finds a note was killed in between, and disconnects: a connect is undone (but for "none", if
 * it was left for that), a disconnect done.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/files.h"
#include "engine/network.h"
#include "engine/operation.h"
#include "engine/resolver.h"
#include "engine/rows.h"
#include "engine/shim_client.h"

#define SPEC_MAX ((size_t)8 << 20) /* bytes of a stored configuration */

struct change {
	struct engine *e;
	struct container *c;
	const char *ref;             /* the network's */
	const struct json *settings; /* connect */
	bool force;                  /* disconnect */
	bool active;                 /* it runs */
	bool gateway_moved;
	bool had_names, has_names; /* before and after */
	char network_id[NETWORK_ID_SIZE];
	struct network_endpoint *ep;          /* joined; or left, and then owned */
	struct config_endpoint *asked_before; /* in the spec's arena */
	size_t asked_count_before;
	struct port_bindings ports; /* that the shim holds */
	struct strbuf spec;         /* as it is to be stored */
	struct error *err;
	int r;
};

/* ---- the configuration [loop] ----------------------------------------------------------------- */

static void write_spec(struct change *ch)
{
	struct json_writer w;

	json_writer_init(&w, &ch->spec);
	container_spec_write(ch->c->spec, &w);
}

/* A new array, so that the old one can be put back. */
static void set_asked(struct change *ch, const struct config_endpoint *ep, const char *drop)
{
	struct container_spec *s = ch->c->spec;
	struct config_endpoint *v =
		arena_new0n(s->arena, struct config_endpoint, s->endpoint_count + 1);
	size_t n = 0;

	ch->asked_before = s->endpoints;
	ch->asked_count_before = s->endpoint_count;
	for (size_t i = 0; i < s->endpoint_count; i++)
		if (!str_eq(s->endpoints[i].network, drop))
			v[n++] = s->endpoints[i];
	if (ep)
		v[n++] = *ep;
	s->endpoints = v;
	s->endpoint_count = n;
	s->endpoints_settled = true;
	write_spec(ch);
}

static void restore_asked(struct change *ch)
{
	if (!ch->asked_before && ch->asked_count_before == 0 && ch->spec.len == 0)
		return;
	ch->c->spec->endpoints = ch->asked_before;
	ch->c->spec->endpoint_count = ch->asked_count_before;
}

static int check_mode(const struct container *c, struct error *err)
{
	const char *mode = c->spec->host.network_mode;

	if (config_mode_container(mode))
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "container sharing network namespace with another container or "
				 "host cannot be connected to any other network");
	if (str_eq(mode, "host"))
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "container cannot be disconnected from host network or connected "
				 "to host network");
	if (c->rt->unreadable || c->state.status == CONTAINER_REMOVING ||
	    c->state.status == CONTAINER_DEAD)
		return error_set(err, ERROR_CONFLICT, 0,
				 "container is marked for removal and cannot be connected or "
				 "disconnected");
	return 0;
}

/* "none" is left by joining something else. */
static void leave_none(struct change *ch)
{
	const struct network *none = network_find(ch->e->network, "none");
	struct network_endpoint *ep = none ? endpoints_find(ch->c, none->id) : NULL;

	if (!ep)
		return;
	network_endpoint_release(ch->e->network, endpoints_take(ch->c, ep));
	network_endpoint_done(ep);
	free(ep);
}

static void note_names_before(struct change *ch)
{
	ch->active = container_is_active(ch->c);
	ch->had_names = endpoints_have_names(ch->e, ch->c);
}

static void note_after(struct change *ch)
{
	ch->has_names = endpoints_have_names(ch->e, ch->c);
	ch->gateway_moved = network_endpoints_choose_gateway(ch->e->network, ch->c->endpoints,
							     ch->c->endpoint_count);
}

/* An address that is asked for is one of the network's: said now, not at the next start. */
static int check_address(const struct network *net, const char *text,
			 const struct network_subnet *s, struct error *err)
{
	struct netaddr a;

	if (!text || (netaddr_is_set(&s->subnet.addr) && netaddr_parse(text, &a) >= 0 &&
		      netaddr_prefix_contains(&s->subnet, &a)))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "invalid endpoint settings: no configured subnet or ip-range of network "
			 "'%s' contain the IP address %s",
			 net->name, text);
}

static int join(struct change *ch)
{
	struct network *net = network_find(ch->e->network, ch->ref);
	struct container *c = ch->c;
	struct config_endpoint want;
	int r = check_mode(c, ch->err);

	if (r < 0)
		return r;
	if (!net || net->busy)
		return error_set(ch->err, ERROR_NOT_FOUND, 0, "network %s not found", ch->ref);
	if (str_eq(network_driver_name(net->driver), "host"))
		return error_set(ch->err, ERROR_INVALID, 0,
				 "cannot connect container to host network - container must be "
				 "created in host network mode");
	if (str_eq(network_driver_name(net->driver), "null"))
		return error_set(ch->err, ERROR_INVALID, 0,
				 "container cannot be connected to multiple networks with one of "
				 "the networks in private (none) mode");
	endpoints_normalize(ch->e, c->spec);
	if (ch->active && endpoints_find(c, net->id))
		return error_set(ch->err, ERROR_FORBIDDEN, 0,
				 "endpoint with name %s already exists in network %s", c->name,
				 net->name);
	r = container_spec_endpoint(c->spec, net->name, ch->settings, &want, ch->err);
	if (r < 0)
		return r;
	r = check_address(net, want.ipv4, &net->ipv4, ch->err);
	r = r < 0 ? r : check_address(net, want.ipv6, &net->ipv6, ch->err);
	if (r < 0)
		return r;
	(void)str_copy(ch->network_id, sizeof(ch->network_id), net->id);
	if (!ch->active && want.aliases.n > 0 && !network_has_names(net))
		return error_set(ch->err, ERROR_INVALID, 0,
				 "network-scoped alias is supported only for containers in user "
				 "defined networks");
	if (ch->active) {
		leave_none(ch);
		r = endpoints_lease_one(ch->e, c, &want, ch->err);
		if (r < 0)
			return r;
		ch->ep = c->endpoints[c->endpoint_count - 1];
		ch->ep->default4 = ch->ep->default6 = false; /* chosen anew below */
	}
	/* One that does not run may have been connected before: the last word counts. */
	set_asked(ch, &want, net->name);
	for (size_t i = 0; i < c->spec->endpoint_count; i++)
		if (str_eq(c->spec->endpoints[i].network, "none")) {
			c->spec->endpoints[i] = c->spec->endpoints[--c->spec->endpoint_count];
			strbuf_reset(&ch->spec);
			write_spec(ch);
			break;
		}
	note_after(ch);
	return 0;
}

static void join_on_loop(void *data)
{
	struct change *ch = data;

	note_names_before(ch);
	ch->r = join(ch);
}

static int leave(struct change *ch)
{
	struct network *net = network_find(ch->e->network, ch->ref);
	const struct config_endpoint *asked;
	struct container *c = ch->c;
	int r = check_mode(c, ch->err);

	if (r < 0)
		return r;
	if (!net && !ch->force)
		return error_set(ch->err, ERROR_NOT_FOUND, 0, "network %s not found", ch->ref);
	endpoints_normalize(ch->e, c->spec);
	asked = net ? endpoints_config(ch->e, c->spec, net->id) : NULL;
	ch->ep = net ? endpoints_find(c, net->id) : NULL;
	for (size_t i = 0; !net && i < c->spec->endpoint_count; i++)
		if (str_eq(c->spec->endpoints[i].network, ch->ref))
			asked = &c->spec->endpoints[i];
	if (!asked && !ch->ep)
		return error_set(ch->err, ERROR_INTERNAL, 0,
				 "container %s is not connected to the network %s", c->id,
				 net ? net->name : ch->ref);
	if (net)
		(void)str_copy(ch->network_id, sizeof(ch->network_id), net->id);
	set_asked(ch, NULL, asked ? asked->network : ch->ref);
	if (ch->ep)
		(void)endpoints_take(c, ch->ep);
	note_after(ch);
	return 0;
}

static void leave_on_loop(void *data)
{
	struct change *ch = data;

	note_names_before(ch);
	ch->r = leave(ch);
}

static int record(struct change *ch)
{
	const struct row_update u = {.container_id = ch->c->id,
				     .eps = ch->c->endpoints,
				     .ep_count = ch->c->endpoint_count};
	struct network_endpoint *none[] = {NULL};
	struct row_update left = {.container_id = ch->c->id, .eps = none};
	int r;

	if (strbuf_error(&ch->spec) < 0)
		return error_set(ch->err, ERROR_INVALID, E2BIG, "container's configuration");
	r = rows_save_spec(ch->e->db, ch->c->id, ch->spec.s, ch->err);
	if (r < 0 || !ch->active)
		return r;
	return rows_update(ch->e->db, ch->c->endpoint_count > 0 ? &u : &left, ch->err);
}

/* ---- a running container [worker, with the operation] ------------------------------------------- */

static struct shim_client *shim_of(struct change *ch)
{
	return ch->c->rt->shim;
}

/* The network namespace's fd; owned by the caller. */
static int open_netns(struct change *ch)
{
	autoshim_reply struct shim_reply reply = {0};
	struct shim_request q;
	int r;

	if (!shim_of(ch))
		return error_set(ch->err, ERROR_UNAVAILABLE, 0, "container %s is ending",
				 ch->c->id);
	shim_request_init(&q, shim_of(ch), "netns");
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, &reply, ch->err);
	if (r < 0)
		return r;
	if (reply.msg.fd_count == 0)
		return error_set(ch->err, ERROR_INTERNAL, 0, "the shim gave no namespace");
	r = reply.msg.fds[0];
	reply.msg.fds[0] = -EBADF;
	return r;
}

static int start_resolver(struct change *ch, int netns_fd)
{
	autoshim_reply struct shim_reply reply = {0};
	struct network_resolver resolver;
	struct shim_request q;
	const struct json *v;
	int r;

	shim_request_init(&q, shim_of(ch), "resolver");
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, &reply, ch->err);
	if (r < 0)
		return r;
	v = json_get(reply.msg.body, "resolver");
	resolver.udp = (uint16_t)json_get_int(v, "udp");
	resolver.tcp = (uint16_t)json_get_int(v, "tcp");
	return network_redirect_resolver(&resolver, netns_fd, ch->err);
}

/* The ports that the shim has reserved. */
static int read_ports(struct change *ch)
{
	autoshim_reply struct shim_reply reply = {0};
	struct shim_request q;
	const struct json *v;
	int r;

	shim_request_init(&q, shim_of(ch), "state");
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, &reply, ch->err);
	json_array_foreach(v, json_get(reply.msg.body, "ports")) {
		struct port_binding b = {
			.container_port = (uint16_t)json_get_int(v, "ContainerPort"),
			.host_port = (uint16_t)json_get_int(v, "HostPort"),
		};

		if (portbind_proto_parse(json_get_string(v, "Proto"), &b.proto) < 0 ||
		    netaddr_parse(json_get_string(v, "HostIp"), &b.host) < 0)
			continue;
		xgrow(ch->ports.v, ch->ports.n, ch->ports.cap);
		ch->ports.v[ch->ports.n++] = b;
	}
	return r;
}

static void place_ports_on_loop(void *data)
{
	struct change *ch = data;

	endpoints_place_ports(ch->c, ch->ports.v, ch->ports.n);
}

static int retarget(struct change *ch)
{
	char text[NETADDR_SIZE];
	struct shim_request q;

	shim_request_init(&q, shim_of(ch), "retarget");
	for (size_t i = 0; i < ch->c->endpoint_count; i++) {
		const struct network_endpoint *ep = ch->c->endpoints[i];

		if (ep->default4)
			jw_kstring(&q.w, "ipv4", netaddr_format(&ep->ipv4.addr, text));
		if (ep->default6)
			jw_kstring(&q.w, "ipv6", netaddr_format(&ep->ipv6.addr, text));
	}
	return shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, ch->err);
}

/* Another network is the way out now, and the one by which published ports come in. */
static int move_gateway(struct change *ch, int netns_fd)
{
	struct container *c = ch->c;
	int r = network_endpoints_set_gateway(c->endpoints, c->endpoint_count, netns_fd, ch->err);

	r = r < 0 ? r : read_ports(ch);
	if (r < 0 || ch->ports.n == 0)
		return r;
	for (size_t i = 0; r >= 0 && i < c->endpoint_count; i++)
		r = network_endpoint_unpublish(ch->e->network, c->endpoints[i], ch->err);
	if (r < 0)
		return r;
	engine_call(ch->e, place_ports_on_loop, ch);
	r = endpoints_publish(ch->e, c, ch->err);
	return r < 0 ? r : retarget(ch);
}

static int update_files(struct change *ch)
{
	const struct files_change change = {.joined = ch->settings ? ch->ep : NULL,
					    .left = ch->settings ? NULL : ch->ep,
					    .resolv = ch->had_names != ch->has_names};
	int r = files_change(ch->e, ch->c, &change, ch->err);

	if (r >= 0 && (ch->has_names || ch->had_names))
		r = resolver_write_container(ch->e, ch->c, ch->err);
	if (ch->network_id[0])
		resolver_update_network(ch->e, ch->network_id);
	return r;
}

static int link_joined(struct change *ch)
{
	autoclose int netns = open_netns(ch);
	int r = netns < 0 ? netns : network_endpoint_attach(ch->e->network, ch->ep, netns, ch->err);

	if (r >= 0 && ch->has_names && !ch->had_names)
		r = start_resolver(ch, netns);
	if (r >= 0 && ch->gateway_moved)
		r = move_gateway(ch, netns);
	return r < 0 ? r : update_files(ch);
}

static void drop_joined_on_loop(void *data)
{
	struct change *ch = data;

	(void)endpoints_take(ch->c, ch->ep);
	restore_asked(ch);
	strbuf_reset(&ch->spec);
	write_spec(ch);
	note_after(ch);
}

/* Whether nothing of it is left. */
static bool undo_join(struct change *ch)
{
	autoerror struct error err = {0};
	struct error *first = ch->err;
	bool undone;

	engine_call(ch->e, drop_joined_on_loop, ch);
	ch->err = &err;
	undone = network_endpoint_detach(ch->e->network, ch->ep, &err) >= 0 && record(ch) >= 0;
	if (!undone)
		log_warn("undo connecting container '%s': %s", ch->c->id, error_msg(&err));
	ch->err = first;
	endpoints_release(ch->e, &ch->ep, 1);
	network_endpoint_done(ch->ep);
	free(ch->ep);
	return undone;
}

static void unlink_left(struct change *ch)
{
	autoerror struct error err = {0};
	struct error *first = ch->err;
	autoclose int netns = -EBADF;

	ch->err = &err;
	netns = open_netns(ch);
	if (network_endpoint_detach(ch->e->network, ch->ep, &err) < 0)
		log_warn("disconnect container '%s': %s", ch->c->id, error_msg(&err));
	error_done(&err);
	if (netns >= 0 && ch->gateway_moved && move_gateway(ch, netns) < 0)
		log_warn("disconnect container '%s': %s", ch->c->id, error_msg(&err));
	error_done(&err);
	if (update_files(ch) < 0)
		log_warn("disconnect container '%s': %s", ch->c->id, error_msg(&err));
	ch->err = first;
}

/* ---- the intention ---------------------------------------------------------------------------- */

static char *note_name(const char *id)
{
	return xasprintf("containers/%s/connect", id);
}

static int note_intention(struct change *ch)
{
	autofree char *name = note_name(ch->c->id);
	int r = file_write_atomic(ch->e->exec_fd, name, ch->network_id, strlen(ch->network_id),
				  0600, 0, ch->err);

	crash_point(CRASH_CONNECT_BEGIN);
	return r;
}

static void forget_intention(struct change *ch)
{
	autofree char *name = note_name(ch->c->id);

	(void)unlinkat(ch->e->exec_fd, name, 0);
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void connected_on_loop(void *data)
{
	struct change *ch = data;

	engine_emit_network(ch->e, ch->c, ch->ep, "connect");
}

static void disconnected_on_loop(void *data)
{
	struct change *ch = data;

	engine_emit_network(ch->e, ch->c, ch->ep, "disconnect");
}

static void restore_asked_on_loop(void *data)
{
	restore_asked(data);
}

static int begin(struct change *ch, struct operation *op, const char *container, struct change init)
{
	int r = operation_begin(init.e, container, init.settings ? "connect" : "disconnect", 0, op,
				init.err);

	*ch = init;
	if (r < 0)
		return r;
	strbuf_init(&ch->spec, SPEC_MAX);
	ch->c = op->container;
	return 0;
}

static void end(struct change *ch, struct operation *op)
{
	port_bindings_done(&ch->ports);
	strbuf_done(&ch->spec);
	operation_end(op);
}

int engine_network_connect(struct engine *e, const char *ref, const char *container,
			   const struct json *settings, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct operation op;
	struct change ch;
	int r = 0;

	if (json_is_null(settings))
		r = json_parse(a, "{}", 2, &settings, err);
	r = r < 0 ? r
		  : begin(&ch, &op, container,
			  (struct change){.e = e, .ref = ref, .settings = settings, .err = err});
	if (r < 0)
		return r;
	engine_call(e, join_on_loop, &ch);
	r = ch.r;
	if (r >= 0 && ch.active)
		r = note_intention(&ch);
	r = r < 0 ? r : record(&ch);
	if (ch.r >= 0 && r < 0 && !ch.active)
		engine_call(e, restore_asked_on_loop, &ch);
	if (ch.r >= 0 && ch.active) {
		if (r >= 0) {
			crash_point(CRASH_CONNECT_ROW);
			r = link_joined(&ch);
		}
		/* The ports have moved with the gateway. */
		r = r < 0 || !ch.gateway_moved ? r : record(&ch);
		if (r >= 0) {
			crash_point(CRASH_CONNECT_LINKED);
			engine_call(e, connected_on_loop, &ch);
		}
		if (r >= 0 || undo_join(&ch))
			forget_intention(&ch);
	}
	end(&ch, &op);
	return r;
}

/* [worker, with the operation] */
static int disconnect(struct change *ch)
{
	int r;

	engine_call(ch->e, leave_on_loop, ch);
	r = ch->r;
	if (r < 0)
		return r;
	if (ch->ep) {
		if (note_intention(ch) < 0) {
			log_warn("disconnect container '%s': %s", ch->c->id, error_msg(ch->err));
			error_done(ch->err);
		}
		unlink_left(ch);
		crash_point(CRASH_CONNECT_UNLINKED);
		engine_call(ch->e, disconnected_on_loop, ch);
		endpoints_release(ch->e, &ch->ep, 1);
		network_endpoint_done(ch->ep);
		free(ch->ep);
	}
	r = record(ch);
	if (r >= 0)
		forget_intention(ch);
	return r;
}

int engine_network_disconnect(struct engine *e, const char *ref, const char *container, bool force,
			      struct error *err)
{
	struct operation op;
	struct change ch;
	int r = begin(&ch, &op, container,
		      (struct change){.e = e, .ref = ref, .force = force, .err = err});

	if (r < 0)
		return r;
	r = disconnect(&ch);
	end(&ch, &op);
	return r;
}

/* ---- after a restart -------------------------------------------------------------------------- */

/* Owns a reference on the container.  Another change may have been first: then the note is gone. */
static void settle(void *data)
{
	struct container *c = data;
	struct engine *e = c->rt->engine;
	autofree char *name = note_name(c->id), *network = NULL;
	autoerror struct error err = {0};
	struct change ch = {.e = e, .force = true, .err = &err};
	struct operation op;
	int r = operation_begin_on(e, c, "disconnect", 0, &op, &err);

	if (r >= 0) {
		r = file_read(e->exec_fd, name, NETWORK_ID_SIZE, &network, NULL, NULL);
		if (r >= 0) {
			strbuf_init(&ch.spec, SPEC_MAX);
			ch.c = c;
			ch.ref = network;
			r = disconnect(&ch);
			if (r >= 0)
				log_info("container '%s' was between networks: it has left '%s'",
					 c->id, network);
			else if (ch.r < 0) /* it had not got that far */
				forget_intention(&ch);
			else
				log_error("container '%s' is between networks: %s", c->id,
					  error_msg(&err));
		}
		end(&ch, &op);
	}
	engine_call(e, container_unref_on_loop, c);
}

void connect_settle(struct engine *e)
{
	for (size_t i = 0; i < e->container_count; i++) {
		struct container *c = e->containers[i];
		autofree char *name = note_name(c->id);

		if (faccessat(e->exec_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		container_ref(c);
		engine_work(e, settle, c);
	}
}
