/* The helper's sandbox. */
#include "registry/sandbox.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"

#define NOBODY          65534
#define MEMORY_MAX      ((rlim_t)2 << 30) /* address space; threads' stacks count */
#define DESCRIPTORS_MAX 256

static int set_limits(struct error *err)
{
	const struct rlimit none = {0, 0}, memory = {MEMORY_MAX, MEMORY_MAX},
			    files = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set limits");
	return 0;
}

static int drop_user(struct error *err)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "become nobody");
	return 0;
}

int sandbox_enter(struct error *err)
{
	int r = set_limits(err);

	r = r < 0 ? r : drop_user(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "give up privileges");
	return 0;
}
