/* A shared buffer that goes away when it is not used: a shim's memory counts a thousand times. */
#include "shim/scratch.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/loop.h"

#define IDLE_MS 1000

struct scratch {
	char *mem; /* owned mapping, or NULL */
	bool used; /* since the timer was armed */
	struct loop_source *timer;
	void (*on_idle)(void *data);
	void *data;
};

static void timer_fired(struct loop_source *timer, void *data)
{
	struct scratch *s = data;

	if (s->used) {
		s->used = false;
		loop_set_timer(timer, IDLE_MS);
		return;
	}
	(void)munmap(s->mem, SCRATCH_SIZE);
	s->mem = NULL;
	if (s->on_idle)
		s->on_idle(s->data);
}

int scratch_new(struct loop *loop, void (*on_idle)(void *data), void *data, struct scratch **ret,
		struct error *err)
{
	autoscratch struct scratch *s = xnew0(struct scratch);
	int r;

	s->on_idle = on_idle;
	s->data = data;
	r = loop_add_timer(loop, IDLE_MS, timer_fired, s, &s->timer, err);
	if (r < 0)
		return r;
	loop_cancel_timer(s->timer);
	*ret = TAKE_PTR(s);
	return 0;
}

char *scratch_get(struct scratch *s)
{
	s->used = true;
	if (!s->mem) {
		void *p = mmap(NULL, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			abort();
		s->mem = p;
		loop_set_timer(s->timer, IDLE_MS);
	}
	return s->mem;
}

struct scratch *scratch_free(struct scratch *s)
{
	if (!s)
		return NULL;
	loop_remove(s->timer);
	if (s->mem)
		(void)munmap(s->mem, SCRATCH_SIZE);
	free(s);
	return NULL;
}
