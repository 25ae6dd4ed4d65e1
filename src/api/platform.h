/* api/platform.h - this machine in the API's and in OCI's words. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* PRETTY_NAME of os-release, or "Linux"; malloc'd. */
char *platform_os_name(char **ret_version);
int64_t platform_memory(void); /* bytes */
/* Bytes that a tree takes on the disk; hard links count once each.  0 for what is not there. */
int64_t platform_tree_size(const char *path);
int64_t platform_count_entries(const char *path); /* of a directory; 0 if there is none */
