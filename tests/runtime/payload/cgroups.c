/* What limits do to a process: memory, children, huge pages, device nodes, cpu time. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payload.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#define HUGE_PAGE ((size_t)2 << 20)

/* eat BYTES: as much memory, touched; "eaten" if that went well */
static int word_eat(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	char *memory = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < n; i += 4096)
		memory[i] = 1;
	(void)puts("eaten");
	return 0;
}

/* forks N: how many of N children could be made */
static int word_forks(int argc, char **argv)
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 0, made = 0;
	int ends[2];
	char c;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return 1;
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)close(ends[1]);
			(void)!read(ends[0], &c, 1); /* until the parent has counted */
			_exit(0);
		}
		made += pid > 0;
	}
	(void)close(ends[1]);
	while (wait(NULL) > 0)
		continue;
	printf("%ld\n", made);
	return 0;
}

/* bomb: children, each with children, as fast as it goes, that ignore what can be ignored; "armed" when
 * the first are there */
static int word_bomb(int argc, char **argv)
{
	(void)argc, (void)argv;
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			for (;;)
				if (fork() == 0)
					_exit(0);
	(void)puts("armed");
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

static sigjmp_buf no_page;

static void on_bus_error(int signo)
{
	siglongjmp(no_page, signo);
}

/* hugepages N: N mappings of one 2 MB page each; "mapped", "refused" or "SIGBUS" for each */
static int word_hugepages(int argc, char **argv)
{
	long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

	(void)signal(SIGBUS, on_bus_error);
	for (long i = 0; i < n; i++) {
		char *page = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

		if (page == MAP_FAILED) {
			(void)puts("refused");
		} else if (sigsetjmp(no_page, 1) != 0) {
			(void)puts("SIGBUS");
		} else {
			page[0] = 1;
			(void)puts("mapped");
		}
	}
	return 0;
}

static const char *outcome(int r)
{
	return r >= 0           ? "ok"
	       : errno == EPERM ? "EPERM"
	       : errno == ENXIO ? "ENXIO"
				: strerror(errno);
}

/* devices TYPE:MAJOR:MINOR...: for each what mknod(2) and opening it to read and to write say */
static int word_devices(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		static const int modes[] = {O_RDONLY, O_WRONLY};
		unsigned major = 0, minor = 0;
		char type = 'c';

		(void)sscanf(argv[i], "%c:%u:%u", &type, &major, &minor);
		(void)unlink("/tmp/node");
		printf("%s", outcome(mknod("/tmp/node", (type == 'b' ? S_IFBLK : S_IFCHR) | 0666,
					   makedev(major, minor))));
		for (size_t j = 0; j < 2; j++) {
			int fd = open("/tmp/node", modes[j] | O_NONBLOCK | O_CLOEXEC);

			printf(" %s", outcome(fd));
			if (fd >= 0)
				(void)close(fd);
		}
		printf("\n");
	}
	return 0;
}

const struct payload_command cgroup_commands[] = {
	{"eat", word_eat},         {"forks", word_forks},
	{"bomb", word_bomb},       {"hugepages", word_hugepages},
	{"devices", word_devices}, {NULL, NULL},
};
