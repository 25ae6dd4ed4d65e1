/* engine/apparmor.h - the profile of containers that name none, and who gets which.
 *
 * Named vessel-default and not docker-default, so that an engine beside ours keeps its own
 * (docs/decisions/0007-apparmor.md).
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "engine/config.h"

struct error;

#define APPARMOR_DEFAULT "vessel-default"

/* The profile's text, appended; needs no include of AppArmor's own.  daemon: the profile that the
 * engine runs under, whose signals containers must get; NULL or "unconfined": none. */
void apparmor_profile_write(const char *daemon, struct strbuf *out);

/* Load it into the kernel with apparmor_parser(8) unless what is there is the same; the text is kept
 * as data-root/apparmor/vessel-default.  ERROR_UNAVAILABLE without the parser.
 * [worker, or before the loop] */
int apparmor_load_default(int data_fd, const char *data_root, struct error *err);

/* The profile that a container's processes get where AppArmor is in force; borrowed from `h` or
 * static.  A profile that is asked for by name also holds for a privileged container. */
const char *apparmor_profile_of(const struct host_config *h);
