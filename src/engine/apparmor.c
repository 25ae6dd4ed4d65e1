/* engine/apparmor.c - the default profile.
 *
 * AppArmor mediates only what a profile has rules for: all files, capabilities, networks are allowed,
 * as they are bounded elsewhere, and then those paths denied that reach out of a container even when
 * a mistake has left them unmasked or writable.  Paths are matched after symbolic links are resolved,
 * so /proc/self never occurs.  A first component is excluded letter by letter: the language has no
 * negation of words.
 */
#include "engine/apparmor.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "linux/apparmor.h"

#define PROFILE_DIR  "apparmor"
#define PROFILE_PATH PROFILE_DIR "/" APPARMOR_DEFAULT
#define PROFILE_MAX  ((size_t)64 << 10) /* bytes */

static const char profile_head[] =
	"# Written and loaded by vesseld.\n"
	"profile " APPARMOR_DEFAULT " flags=(attach_disconnected,mediate_deleted) {\n"
	"  capability,\n"
	"  file,\n"
	"  network,\n"
	"  unix,\n"
	"  umount,\n"
	"\n"
	"  # Signals from the host and among each other; tracing among each other.\n"
	"  signal (receive) peer=unconfined,\n"
	"  signal (send, receive) peer=" APPARMOR_DEFAULT ",\n"
	"  ptrace (trace, read, tracedby, readby) peer=" APPARMOR_DEFAULT ",\n";

static const char profile_tail[] = "\n"
				   "  deny mount,\n"
				   "\n"
				   "  # Of /proc only the processes' own files, and of /proc/sys "
				   "only kernel/shm*, are written.\n"
				   "  deny /proc/[^0-9s]** w,\n"
				   "  deny /proc/s[^y]** w,\n"
				   "  deny /proc/sy[^s]** w,\n"
				   "  deny /proc/sys[^/]** w,\n"
				   "  deny /proc/sys/[^k]** w,\n"
				   "  deny /proc/sys/k[^e]** w,\n"
				   "  deny /proc/sys/ke[^r]** w,\n"
				   "  deny /proc/sys/kernel/[^s]** w,\n"
				   "  deny /proc/sys/kernel/s[^h]** w,\n"
				   "  deny /proc/sys/kernel/sh[^m]** w,\n"
				   "  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,\n"
				   "\n"
				   "  # Of /sys only fs/cgroup is written.\n"
				   "  deny /sys/[^f]** wklx,\n"
				   "  deny /sys/f[^s]** wklx,\n"
				   "  deny /sys/fs[^/]** wklx,\n"
				   "  deny /sys/fs/[^c]** wklx,\n"
				   "  deny /sys/fs/c[^g]** wklx,\n"
				   "  deny /sys/fs/cg[^r]** wklx,\n"
				   "  deny /sys/firmware/** rwklx,\n"
				   "  deny /sys/devices/virtual/powercap/** rwklx,\n"
				   "  deny /sys/kernel/security/** rwklx,\n"
				   "}\n";

void apparmor_profile_write(const char *daemon, struct strbuf *out)
{
	strbuf_adds(out, profile_head);
	if (!str_empty(daemon) && !str_eq(daemon, "unconfined"))
		strbuf_addf(out, "  signal (receive) peer=\"%s\",\n", daemon);
	strbuf_adds(out, profile_tail);
}

static const char *find_parser(void)
{
	static const char *const paths[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static int run_parser(const char *parser, const char *path, struct error *err)
{
	const char *const argv[] = {parser, "--replace", "--skip-cache", path, NULL};
	const struct spawn_args args = {.path = parser, .exec_fd = -EBADF, .argv = argv};
	autofree char *output = NULL;
	int status, r = spawn_run(&args, PROFILE_MAX, &output, &status, err);

	if (r >= 0 && status != 0)
		r = error_set(err, ERROR_UNAVAILABLE, 0, "'%s --replace %s' ended with %d", parser,
			      path, status);
	return r;
}

int apparmor_load_default(int data_fd, const char *data_root, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(PROFILE_MAX);
	autofree char *daemon = apparmor_current(), *old = NULL;
	autofree char *path = xasprintf("%s/" PROFILE_PATH, data_root);
	const char *parser = find_parser();
	int r;

	apparmor_profile_write(daemon, &text);
	if (apparmor_has_profile(APPARMOR_DEFAULT) &&
	    file_read(data_fd, PROFILE_PATH, PROFILE_MAX, &old, NULL, NULL) >= 0 &&
	    str_eq(old, text.s))
		return 0;
	if (!parser)
		return error_set(err, ERROR_UNAVAILABLE, 0, "apparmor_parser is not installed");
	r = file_mkdir_p(data_fd, PROFILE_DIR, 0700, err);
	r = r < 0 ? r : file_write_atomic(data_fd, PROFILE_PATH, text.s, text.len, 0600, 0, err);
	r = r < 0 ? r : run_parser(parser, path, err);
	if (r < 0)
		(void)unlinkat(data_fd, PROFILE_PATH, 0);
	return r;
}

const char *apparmor_profile_of(const struct host_config *h)
{
	struct config_security security;

	if (config_security_parse(&h->security_opt, &security, NULL) >= 0 &&
	    !str_empty(security.apparmor))
		return security.apparmor;
	return h->privileged ? "unconfined" : APPARMOR_DEFAULT;
}
