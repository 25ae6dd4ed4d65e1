/* The manager's open NETLINK_NETFILTER sockets. */
#include "network/nfsocket.h"

#include <pthread.h>

#include "base/error.h"

#define IDLE_MAX 4

struct nfsockets {
	pthread_mutex_t lock;
	struct netlink *idle[IDLE_MAX]; /* owned */
	size_t n;
};

struct nfsockets *nfsockets_new(void)
{
	struct nfsockets *s = xnew0(struct nfsockets);

	(void)pthread_mutex_init(&s->lock, NULL); /* never fails for the default kind */
	return s;
}

struct nfsockets *nfsockets_free(struct nfsockets *s)
{
	if (s) {
		for (size_t i = 0; i < s->n; i++)
			netlink_close(s->idle[i]);
		(void)pthread_mutex_destroy(&s->lock);
		free(s);
	}
	return NULL;
}

int nfsocket_take(struct nfsockets *s, struct nfsocket *ret, struct error *err)
{
	struct netlink *nl = NULL;
	int r;

	(void)pthread_mutex_lock(&s->lock);
	if (s->n > 0)
		nl = s->idle[--s->n];
	(void)pthread_mutex_unlock(&s->lock);
	if (!nl) {
		r = netlink_open(NETLINK_NETFILTER, &nl, err);
		if (r < 0)
			return r;
	}
	*ret = (struct nfsocket){.from = s, .nl = nl};
	return 0;
}

void nfsocket_give(struct nfsocket *s)
{
	struct netlink *surplus = s->nl;

	if (!s->nl)
		return;
	(void)pthread_mutex_lock(&s->from->lock);
	if (s->from->n < IDLE_MAX) {
		s->from->idle[s->from->n++] = s->nl;
		surplus = NULL;
	}
	(void)pthread_mutex_unlock(&s->from->lock);
	netlink_close(surplus);
	s->nl = NULL;
}
