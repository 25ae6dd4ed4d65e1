/* engine/propagation.c - bind mounts whose propagation needs something of the host.
 *
 * A container that is to see what is mounted later, or to show what it mounts itself, needs a source on a mount
 * that is in a peer group (mount_namespaces(7)).  On another one the kernel would take the option and nothing
 * would come of it.
 */
#include "engine/propagation.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define MOUNTINFO_MAX ((size_t)16 << 20)

/* "\040" and the like, which the kernel writes for blanks. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return str_eq(top, "/") ||
	       (str_has_prefix(path, top) && (path[n] == '/' || path[n] == '\0'));
}

struct mounted {
	const char *point; /* NULL: nothing found */
	bool shared, slave;
};

/* proc_pid_mountinfo(5): the fifth field is the mount point, optional ones are from the seventh to "-". */
static void read_line(char *line, const char *path, struct mounted *m)
{
	char *save = NULL, *word = strtok_r(line, " ", &save), *point = NULL;
	bool shared = false, slave = false;

	for (int i = 1; word && !str_eq(word, "-"); i++) {
		if (i == 5)
			point = word;
		shared |= i > 6 && str_has_prefix(word, "shared:");
		slave |= i > 6 && str_has_prefix(word, "master:");
		word = strtok_r(NULL, " ", &save);
	}
	if (!point)
		return;
	unescape(point);
	/* Of those at one place the last one is on top. */
	if (is_below(path, point) && (!m->point || strlen(point) >= strlen(m->point)))
		*m = (struct mounted){point, shared, slave};
}

int propagation_check_text(char *mountinfo, const char *path, const char *propagation,
			   struct error *err)
{
	bool slave = str_eq(propagation, "slave") || str_eq(propagation, "rslave");
	struct mounted m = {0};
	char *save = NULL;

	for (char *line = strtok_r(mountinfo, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		read_line(line, path, &m);
	if (!m.point || m.shared || (slave && m.slave))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "path %s is mounted on %s but it is not a shared%s mount", path, m.point,
			 slave ? " or slave" : "");
}

int propagation_check(const char *source, const char *propagation, struct error *err)
{
	autofree char *text = NULL, *path = NULL;
	int r;

	if (!propagation || (!strstr(propagation, "shared") && !strstr(propagation, "slave")))
		return 0;
	path = realpath(source, NULL);
	if (!path)
		return 0; /* the mount itself says so */
	r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err);
	return r < 0 ? r : propagation_check_text(text, path, propagation, err);
}
