/* AppArmor's state, as its files in /sys and /proc tell it. */
#include "linux/apparmor.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define PROFILES     "/sys/kernel/security/apparmor/profiles"
#define PROFILES_MAX ((size_t)4 << 20) /* bytes */
#define LABEL_MAX    4096              /* bytes of an attr file */

bool apparmor_is_enabled(void)
{
	autofree char *enabled = NULL;

	return file_read(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &enabled, NULL,
			 NULL) >= 0 &&
	       enabled[0] == 'Y' && access(PROFILES, R_OK) == 0;
}

bool apparmor_list_has(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list && *list) {
		const char *end = strchrnul(list, '\n');

		if (strncmp(list, name, n) == 0 && strncmp(list + n, " (", 2) == 0 &&
		    !memchr(list + n + 2, '(', (size_t)(end - list) - n - 2))
			return true;
		list = end + (*end == '\n');
	}
	return false;
}

bool apparmor_has_profile(const char *name)
{
	autofree char *list = NULL;

	return file_read(AT_FDCWD, PROFILES, PROFILES_MAX, &list, NULL, NULL) >= 0 &&
	       apparmor_list_has(list, name);
}

char *apparmor_current(void)
{
	autofree char *label = NULL;
	char *mode;

	if (file_read(AT_FDCWD, "/proc/thread-self/attr/apparmor/current", LABEL_MAX, &label, NULL,
		      NULL) < 0)
		return NULL;
	label[strcspn(label, "\n")] = '\0';
	mode = strrchr(label, '(');
	if (mode && mode > label && mode[-1] == ' ')
		mode[-1] = '\0';
	return TAKE_PTR(label);
}
