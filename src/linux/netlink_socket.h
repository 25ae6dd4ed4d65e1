/* linux/netlink_socket.h - netlink(7) sockets and requests in batches.
 *
 * A batch is a list of requests that one send carries; each request is answered.  The first one
 * that fails is reported with its label ("add address '10.0.0.2/24'").  rtnetlink(7) runs all of
 * them whatever the earlier ones answered; nftables (linux/nft.h) runs all or none.
 *
 * A socket stays in the network namespace in which it was opened.  Not thread-safe, cheap: open one
 * for each operation.  Needs libmnl: not in the static programs.
 */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct error;
struct netlink;

int netlink_open(int protocol, struct netlink **ret, struct error *err); /* NETLINK_ROUTE, ... */
struct netlink *netlink_close(struct netlink *nl); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct netlink, netlink_close);
#define autonetlink __attribute__((cleanup(netlink_closep_)))

/* Receive a multicast group's events (NFNLGRP_*, RTNLGRP_*) on this socket; keep it for that alone.
 * Poll netlink_fd() for reading, then netlink_events() until all are read: fn is called for each.
 * -ENOBUFS: some were lost, and the state must be read anew. */
int netlink_subscribe(struct netlink *nl, unsigned group, struct error *err);
int netlink_fd(const struct netlink *nl); /* borrowed */
typedef void (*netlink_event_fn)(const struct nlmsghdr *nlh, void *data);
int netlink_events(struct netlink *nl, netlink_event_fn fn, void *data);

/* Move the calling thread into a network namespace and back.  Between the two, sockets and
 * /proc/sys/net are the namespace's.  Leaving asserts: a thread must not stay there. */
int netlink_netns_enter(int netns_fd, int *ret_back, struct error *err);
void netlink_netns_leave(int back_take);
/* netlink_open(NETLINK_ROUTE) inside netns_fd (borrowed). */
int netlink_open_in(int netns_fd, struct netlink **ret, struct error *err);

/* Attributes by their types, behind a payload of header bytes or within one of them (NULL: none);
 * those that aren't there keep what v held.  v: max + 1 pointers into the message. */
void netlink_attrs(const struct nlmsghdr *nlh, size_t header, const struct nlattr **v,
		   unsigned max);
void netlink_attrs_nested(const struct nlattr *nest, const struct nlattr **v, unsigned max);

#define NETLINK_MESSAGE_MAX 16384 /* bytes that one request may take */

struct netlink_batch;

struct netlink_batch *netlink_batch_new(void);
struct netlink_batch *netlink_batch_free(struct netlink_batch *b);
DEFINE_CLEANUP(struct netlink_batch, netlink_batch_free);
#define autonetlink_batch __attribute__((cleanup(netlink_batch_freep_)))

/* Begin a request; add its payload with libmnl.  The pointer is good until the next call.  The
 * label says what is attempted, for errors; NLM_F_REQUEST is added. */
struct nlmsghdr *netlink_request(struct netlink_batch *b, uint16_t type, uint16_t flags,
				 const char *label, ...) __attribute__((format(printf, 4, 5)));
/* The last request may fail with this errno (positive), e.g. EEXIST or ENODEV. */
void netlink_request_tolerate(struct netlink_batch *b, int errnum);
void netlink_batch_clear(struct netlink_batch *b); /* drop its requests */
size_t netlink_batch_count(const struct netlink_batch *b);
/* Send all and wait for every answer; the batch is empty afterwards. */
int netlink_batch_run(struct netlink *nl, struct netlink_batch *b, struct error *err);
/* The same for nfnetlink: answers are asked for failures and for the last request before the
 * end message; the kernel has then committed everything or nothing. */
int netlink_batch_run_atomic(struct netlink *nl, struct netlink_batch *b, struct error *err);

/* Send the batch's only request as a dump; fn is called for each answer; < 0 from it stops the
 * calls and is returned (err must be filled).  When the list changed while it was read, fn(NULL)
 * says so, and the list begins again: forget what was told. */
typedef int (*netlink_dump_fn)(const struct nlmsghdr *nlh, void *data, struct error *err);
int netlink_dump(struct netlink *nl, struct netlink_batch *b, netlink_dump_fn fn, void *data,
		 struct error *err);
/* The same for a request that is answered by one object, not a list; never fn(NULL). */
int netlink_get(struct netlink *nl, struct netlink_batch *b, netlink_dump_fn fn, void *data,
		struct error *err);
