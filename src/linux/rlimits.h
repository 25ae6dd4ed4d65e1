/* linux/rlimits.h - resource limit names ("RLIMIT_NOFILE"), getrlimit(2). */
#pragma once

/* RLIMIT_*; -EINVAL for an unknown name. */
int rlimit_parse(const char *name);
