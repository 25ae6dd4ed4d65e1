/* peak COMMAND [ARG...]: run it, and print the most memory (KiB) that it or a child it waited for held. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage = {0};
	int status = 1;
	pid_t pid;

	if (argc < 2)
		return 2;
	pid = fork(); /* of a program this small: its own memory counts until the exec */
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			(void)dup2(null, fd);
		(void)execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
		return 1;
	printf("%ld\n", usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
