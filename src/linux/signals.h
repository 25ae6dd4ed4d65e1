/* linux/signals.h - signal names and numbers, as Docker and runc spell them. */
#pragma once

/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN", "RTMIN+3", "RTMAX-2"; -EINVAL otherwise.  The number
 * must be 1..64 (signal 0 is refused). */
int signal_parse(const char *s);
/* "SIGTERM"; "SIGRTMIN+3"; NULL if there is no such signal. */
const char *signal_name(int signo);
