/* Netlink sockets and batches.
 *
 * Requests are numbered from 1 within a batch (plus a base that grows, so that a late answer to an
 * earlier batch is told apart); answers are matched by that number.
 */
#include "linux/netlink_socket.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "base/error.h"

#define RECV_SIZE     32768 /* the kernel fills at most this much of a dump at once */
#define SEND_BUF_SIZE (4 * 1024 * 1024)

struct netlink {
	int fd; /* owned */
	uint32_t seq;
	char buf[RECV_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct request {
	size_t offset; /* in the batch's buffer */
	int tolerated; /* errno */
	char *label;   /* owned */
};

struct netlink_batch {
	char *buf; /* owned */
	size_t len, cap;
	struct request *requests; /* owned */
	size_t n, requests_cap;
};

struct attrs {
	const struct nlattr **v;
	unsigned max;
};

static int collect_attr(const struct nlattr *attr, void *data)
{
	struct attrs *a = data;
	unsigned type = mnl_attr_get_type(attr);

	if (type <= a->max)
		a->v[type] = attr;
	return MNL_CB_OK;
}

void netlink_attrs(const struct nlmsghdr *nlh, size_t header, const struct nlattr **v, unsigned max)
{
	(void)mnl_attr_parse(nlh, (unsigned)header, collect_attr,
			     &(struct attrs){.v = v, .max = max});
}

void netlink_attrs_nested(const struct nlattr *nest, const struct nlattr **v, unsigned max)
{
	if (nest)
		(void)mnl_attr_parse_nested(nest, collect_attr,
					    &(struct attrs){.v = v, .max = max});
}

int netlink_open(int protocol, struct netlink **ret, struct error *err)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	autonetlink struct netlink *nl = xnew0(struct netlink);
	int on = 1, size = SEND_BUF_SIZE;

	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (nl->fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open netlink socket");
	if (bind(nl->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "bind netlink socket");
	/* Short and telling answers; both are conveniences (netlink(7), Linux 4.3 and 4.12). */
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	/* Room for large transactions; refused without CAP_NET_ADMIN, where none are sent. */
	(void)setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	(void)setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	*ret = TAKE_PTR(nl);
	return 0;
}

struct netlink *netlink_close(struct netlink *nl)
{
	if (nl) {
		fd_close(&nl->fd);
		free(nl);
	}
	return NULL;
}

int netlink_netns_enter(int netns_fd, int *ret_back, struct error *err)
{
	autoclose int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter network namespace");
	*ret_back = TAKE_FD(back);
	return 0;
}

void netlink_netns_leave(int back_take)
{
	int r = setns(back_take, CLONE_NEWNET);

	/* Going on in a container's namespace would misdirect everything that follows. */
	assert(r == 0);
	(void)r;
	(void)close(back_take);
}

int netlink_open_in(int netns_fd, struct netlink **ret, struct error *err)
{
	int back, r;

	r = netlink_netns_enter(netns_fd, &back, err);
	if (r < 0)
		return r;
	r = netlink_open(NETLINK_ROUTE, ret, err);
	netlink_netns_leave(back);
	return r;
}

struct netlink_batch *netlink_batch_new(void)
{
	return xnew0(struct netlink_batch);
}

static void batch_reset(struct netlink_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->requests[i].label);
	b->n = 0;
	b->len = 0;
}

struct netlink_batch *netlink_batch_free(struct netlink_batch *b)
{
	if (b) {
		batch_reset(b);
		free(b->requests);
		free(b->buf);
		free(b);
	}
	return NULL;
}

void netlink_batch_clear(struct netlink_batch *b)
{
	batch_reset(b);
}

size_t netlink_batch_count(const struct netlink_batch *b)
{
	return b->n;
}

static struct nlmsghdr *request_header(const struct netlink_batch *b, size_t i)
{
	return (struct nlmsghdr *)(void *)(b->buf + b->requests[i].offset);
}

/* Libmnl grows a message in place: take the last one's final size into account. */
static void batch_settle(struct netlink_batch *b)
{
	if (b->n > 0) {
		const struct nlmsghdr *last = request_header(b, b->n - 1);

		assert(last->nlmsg_len <= NETLINK_MESSAGE_MAX);
		b->len = b->requests[b->n - 1].offset + NLMSG_ALIGN(last->nlmsg_len);
	}
}

struct nlmsghdr *netlink_request(struct netlink_batch *b, uint16_t type, uint16_t flags,
				 const char *label, ...)
{
	struct nlmsghdr *nlh;
	struct request *r;
	va_list ap;

	batch_settle(b);
	if (b->cap - b->len < NETLINK_MESSAGE_MAX) {
		b->cap = 2 * b->cap + NETLINK_MESSAGE_MAX;
		b->buf = xrealloc(b->buf, b->cap, 1);
	}
	xgrow(b->requests, b->n, b->requests_cap);
	r = &b->requests[b->n++];
	*r = (struct request){.offset = b->len};
	va_start(ap, label);
	r->label = xvasprintf(label, ap);
	va_end(ap);

	nlh = mnl_nlmsg_put_header(b->buf + b->len);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	return nlh;
}

void netlink_request_tolerate(struct netlink_batch *b, int errnum)
{
	b->requests[b->n - 1].tolerated = errnum;
}

static int send_batch(struct netlink *nl, struct netlink_batch *b, struct error *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	for (size_t i = 0; i < b->n; i++)
		request_header(b, i)->nlmsg_seq = nl->seq + 1 + (uint32_t)i;
	n = sendto(nl->fd, b->buf, b->len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "%s: send netlink request",
				 b->requests[0].label);
	return 0;
}

/* Bytes received, from the kernel and nobody else. */
static ssize_t receive(struct netlink *nl, int flags)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec iov = {.iov_base = nl->buf, .iov_len = sizeof(nl->buf)};
		struct msghdr msg = {.msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
				     .msg_iovlen = 1};
		ssize_t n = recvmsg(nl->fd, &msg, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (from.nl_pid != 0)
			continue;
		return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
	}
}

static int ext_ack_attr(const struct nlattr *attr, void *data)
{
	const char **msg = data;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*msg = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* The kernel's words on a failure, or NULL. */
static const char *ext_ack(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*e);
	const char *msg = NULL;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
	if (mnl_nlmsg_get_payload_len(nlh) <= skip)
		return NULL;
	(void)mnl_attr_parse(nlh, (unsigned)skip, ext_ack_attr, (void *)&msg);
	return msg;
}

/* The errno in an NLMSG_ERROR, positive, 0 for an acknowledgement, or EBADMSG. */
static int ack_errno(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return EBADMSG;
	return -e->error;
}

static int request_failed(const struct request *r, const struct nlmsghdr *nlh, struct error *err)
{
	const char *why = ext_ack(nlh);
	int e = ack_errno(nlh);

	if (why)
		return error_set(err, ERROR_INTERNAL, e, "%s: %s", r->label, why);
	return error_set(err, ERROR_INTERNAL, e, "%s", r->label);
}

/* State of waiting for a batch's answers. */
struct answers {
	struct netlink_batch *batch;
	uint32_t base; /* sequence number before the first request */
	size_t missing;
	bool atomic; /* the last request's answer ends it */
	bool done;
	int r; /* first failure */
};

static void take_answer(struct answers *a, const struct nlmsghdr *nlh, struct error *err)
{
	uint32_t i = nlh->nlmsg_seq - a->base - 1;
	const struct request *req;
	int e;

	if (nlh->nlmsg_type != NLMSG_ERROR || i >= a->batch->n)
		return;
	req = &a->batch->requests[i];
	e = ack_errno(nlh);
	if (e != 0 && (a->atomic || e != req->tolerated) && a->r == 0)
		a->r = request_failed(req, nlh, err);
	if (a->atomic) {
		/* An error on the begin message refuses the whole. */
		if (i + 2 >= a->batch->n || (i == 0 && e != 0))
			a->done = true;
	} else if (--a->missing == 0) {
		a->done = true;
	}
}

static int run(struct netlink *nl, struct netlink_batch *b, bool atomic, struct error *err)
{
	struct answers a = {.batch = b, .base = nl->seq, .missing = b->n, .atomic = atomic};
	int r = send_batch(nl, b, err);

	nl->seq += (uint32_t)b->n;
	while (r == 0 && !a.done) {
		ssize_t n = receive(nl, 0);
		int left = (int)n;

		if (n < 0) {
			r = error_set(err, ERROR_INTERNAL, (int)-n, "%s: receive netlink answer",
				      b->requests[0].label);
			break;
		}
		for (const struct nlmsghdr *nlh = (const void *)nl->buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			take_answer(&a, nlh, err);
	}
	batch_reset(b);
	return r < 0 ? r : a.r;
}

int netlink_batch_run(struct netlink *nl, struct netlink_batch *b, struct error *err)
{
	batch_settle(b);
	if (b->n == 0)
		return 0;
	for (size_t i = 0; i < b->n; i++)
		request_header(b, i)->nlmsg_flags |= NLM_F_ACK;
	return run(nl, b, false, err);
}

int netlink_batch_run_atomic(struct netlink *nl, struct netlink_batch *b, struct error *err)
{
	batch_settle(b);
	if (b->n <= 2) {
		batch_reset(b);
		return 0;
	}
	request_header(b, b->n - 2)->nlmsg_flags |= NLM_F_ACK;
	return run(nl, b, true, err);
}

/* State of waiting for the answers to a query: a dump ends with NLMSG_DONE, a get that was asked for
 * with NLM_F_ACK with its acknowledgement. */
struct query {
	netlink_dump_fn fn;
	void *data;
	const struct request *request;
	uint32_t seq;
	bool done;
	bool interrupted; /* the list changed meanwhile: objects may be missing or double */
	int r;
};

static void take_object(struct query *q, const struct nlmsghdr *nlh, struct error *err)
{
	if (nlh->nlmsg_seq != q->seq)
		return;
	q->interrupted |= (nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	if (nlh->nlmsg_type == NLMSG_DONE) {
		q->done = true;
	} else if (nlh->nlmsg_type == NLMSG_ERROR) {
		q->done = true;
		if (q->r == 0 && ack_errno(nlh) != 0)
			q->r = request_failed(q->request, nlh, err);
	} else if (q->r == 0) {
		q->r = q->fn(nlh, q->data, err);
	}
}

static int run_query(struct netlink *nl, struct netlink_batch *b, struct query *q,
		     struct error *err)
{
	int r = send_batch(nl, b, err);

	if (r < 0)
		return r;
	q->request = &b->requests[0];
	q->seq = ++nl->seq;
	q->done = q->interrupted = false;
	while (!q->done) {
		ssize_t n = receive(nl, 0);
		int left = (int)n;

		if (n < 0)
			return error_set(err, ERROR_INTERNAL, (int)-n, "%s: receive netlink answer",
					 q->request->label);
		for (const struct nlmsghdr *nlh = (const void *)nl->buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			take_object(q, nlh, err);
	}
	return q->r;
}

#define DUMP_TRIES 32 /* a busy host changes its links all the time */

int netlink_dump(struct netlink *nl, struct netlink_batch *b, netlink_dump_fn fn, void *data,
		 struct error *err)
{
	struct query q = {.fn = fn, .data = data, .interrupted = true};
	int r = 0;

	batch_settle(b);
	assert(b->n == 1);
	request_header(b, 0)->nlmsg_flags |= NLM_F_DUMP;
	for (int i = 0; r == 0 && q.interrupted && i < DUMP_TRIES; i++) {
		if (i > 0)
			r = fn(NULL, data, err);
		if (r == 0)
			r = run_query(nl, b, &q, err);
	}
	if (r == 0 && q.interrupted)
		r = error_set(err, ERROR_INTERNAL, EINTR, "%s", b->requests[0].label);
	batch_reset(b);
	return r;
}

int netlink_get(struct netlink *nl, struct netlink_batch *b, netlink_dump_fn fn, void *data,
		struct error *err)
{
	struct query q = {.fn = fn, .data = data};
	int r;

	batch_settle(b);
	assert(b->n == 1);
	request_header(b, 0)->nlmsg_flags |= NLM_F_ACK;
	r = run_query(nl, b, &q, err);
	batch_reset(b);
	return r;
}

int netlink_subscribe(struct netlink *nl, unsigned group, struct error *err)
{
	if (setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "subscribe to netlink group %u",
				 group);
	return 0;
}

int netlink_fd(const struct netlink *nl)
{
	return nl->fd;
}

int netlink_events(struct netlink *nl, netlink_event_fn fn, void *data)
{
	for (;;) {
		ssize_t n = receive(nl, MSG_DONTWAIT);
		int left = (int)n;

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		for (const struct nlmsghdr *nlh = (const void *)nl->buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			fn(nlh, data);
	}
}
