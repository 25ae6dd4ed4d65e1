#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/cpulist.h"
#include "linux/scheduling.h"

static bool same(const struct scheduling_cpus *a, const struct scheduling_cpus *b)
{
	return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

static unsigned count(const struct scheduling_cpus *cpus)
{
	unsigned n = 0;

	for (size_t i = 0; i < CPULIST_WORDS; i++)
		n += (unsigned)__builtin_popcountll(cpus->words[i]);
	return n;
}

static void others_are_all_but_one(void **state)
{
	struct scheduling_cpus all, others;

	(void)state;
	assert_int_equal(scheduling_get_cpus(&all, NULL), 0);
	if (scheduling_other_cpus(&others))
		assert_int_equal(count(&others), count(&all) - 1);
	else
		assert_int_equal(count(&all), 1);
}

/* A caller that is held to one processor holds its children to that. */
static void nothing_for_who_is_restricted(void **state)
{
	struct scheduling_cpus all, one = {{0}}, others;

	(void)state;
	assert_int_equal(scheduling_get_cpus(&all, NULL), 0);
	for (size_t i = 0; i < CPULIST_WORDS && !count(&one); i++)
		one.words[i] = all.words[i] & -all.words[i];
	assert_int_equal(scheduling_restore_cpus(&one, NULL), 0);
	assert_false(scheduling_other_cpus(&others));
	assert_false(scheduling_find_others(&others));
	assert_int_equal(scheduling_restore_cpus(&all, NULL), 0);
}

/* Any task will do. */
struct task {
	pid_t tid;
	sem_t started, over;
};

static void *wait_for_the_end(void *data)
{
	struct task *t = data;

	t->tid = (pid_t)syscall(SYS_gettid);
	(void)sem_post(&t->started);
	while (sem_wait(&t->over) < 0)
		continue; /* EINTR */
	return NULL;
}

static void who_was_moved_may_use_all(void **state)
{
	struct scheduling_cpus all, others, now = {{0}};
	struct task task;
	pthread_t thread;

	(void)state;
	assert_int_equal(scheduling_get_cpus(&all, NULL), 0);
	if (!scheduling_find_others(&others))
		skip(); /* one processor, or not all of them */
	assert_int_equal(sem_init(&task.started, 0, 0), 0);
	assert_int_equal(sem_init(&task.over, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_the_end, &task), 0);
	while (sem_wait(&task.started) < 0)
		continue; /* EINTR */
	scheduling_move(task.tid, &others);
	assert_true(syscall(SYS_sched_getaffinity, task.tid, sizeof(now.words), now.words) > 0);
	assert_true(same(&now, &all));
	assert_int_equal(sem_post(&task.over), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_all_but_one),
		cmocka_unit_test(nothing_for_who_is_restricted),
		cmocka_unit_test(who_was_moved_may_use_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
