/* payload enosys CALL[=ERRNO],... [--] PROGRAM [ARG...]: run a program for which system calls do not exist.
 *
 * A seccomp filter makes the named calls fail with ENOSYS, or with another errno by its number, in the
 * program and in all that it starts.  What this kernel shows is then what an older one would.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "linux/sys.h"
#include "payload.h"

#define CALLS_MAX 64

static const struct {
	const char *name;
	int number;
} calls[] = {
	{"clone3", SYS_clone3},
	{"close_range", SYS_close_range},
	{"faccessat2", SYS_faccessat2},
	{"fsconfig", SYS_fsconfig},
	{"fsmount", SYS_fsmount},
	{"fsopen", SYS_fsopen},
	{"fspick", 433},
	{"keyctl", SYS_keyctl},
	{"memfd_create", SYS_memfd_create},
	{"mknodat", SYS_mknodat},
	{"mount_setattr", SYS_mount_setattr},
	{"move_mount", SYS_move_mount},
	{"open_tree", SYS_open_tree},
	{"openat2", SYS_openat2},
	{"pidfd_open", SYS_pidfd_open},
	{"pidfd_send_signal", SYS_pidfd_send_signal},
	{"pivot_root", SYS_pivot_root},
	{"setns", SYS_setns},
	{"statx", SYS_statx},
};

static int find(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	(void)fprintf(stderr, "enosys: unknown system call '%s'\n", name);
	exit(99);
}

static int install(char *list)
{
	struct sock_filter code[2 * CALLS_MAX + 2];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;
	char *save = NULL;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (char *word = strtok_r(list, ",", &save); word && n < 2 * CALLS_MAX;
	     word = strtok_r(NULL, ",", &save)) {
		char *equals = strchr(word, '=');
		unsigned error = equals ? (unsigned)strtoul(equals + 1, NULL, 10) : ENOSYS;

		if (equals)
			*equals = '\0';
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)find(word), 0, 1);
		code[n++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (geteuid() != 0)
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int word_enosys(int argc, char **argv)
{
	int first = argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;

	if (argc <= first) {
		(void)fprintf(stderr, "usage: enosys CALL[=ERRNO],... [--] PROGRAM [ARG...]\n");
		return 99;
	}
	if (install(argv[1]) < 0) {
		perror("enosys: seccomp");
		return 99;
	}
	(void)execvp(argv[first], argv + first);
	perror(argv[first]);
	return 127;
}

const struct payload_command enosys_commands[] = {
	{"enosys", word_enosys},
	{NULL, NULL},
};
