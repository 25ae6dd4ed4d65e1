/* vessel-seccomp: an OCI seccomp object on stdin, a compiled filter on stdout (linux/seccomp_program.h). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/seccomp_compile.h"

#define PROFILE_MAX ((size_t)1 << 20)

/* Exit status 3 tells the caller that the profile asks for what is not implemented. */
#define EXIT_NOT_IMPLEMENTED 3

int main(void)
{
	autofree char *profile = NULL, *program = NULL;
	autoerror struct error err = {0};
	size_t len = 0, program_len = 0;
	int r = file_read(AT_FDCWD, "/proc/self/fd/0", PROFILE_MAX, &profile, &len, &err);

	if (r >= 0)
		r = seccomp_compile(profile, len, &program, &program_len, &err);
	if (r >= 0 && fd_write_full(STDOUT_FILENO, program, program_len) < 0)
		r = error_set(&err, ERROR_INTERNAL, EIO, "write the program");
	if (r >= 0)
		return 0;
	(void)fprintf(stderr, "%s\n", error_msg(&err));
	return err.kind == ERROR_NOT_IMPLEMENTED ? EXIT_NOT_IMPLEMENTED : 1;
}
