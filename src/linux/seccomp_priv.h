/* linux/seccomp_priv.h - the form of a compiled filter, between the compiler, the cache and us. */
#pragma once

#include <stdint.h>

#define SECCOMP_INSNS_MAX ((size_t)4096) /* BPF_MAXINSNS */
#define SECCOMP_MAGIC     "vslbpf02"

struct seccomp_header {
	char magic[8];    /* SECCOMP_MAGIC, without its NUL */
	uint32_t key_len; /* bytes of key that follow; 0 from the compiler */
	uint32_t count;   /* instructions (struct sock_filter) that follow the key */
	uint32_t flags;   /* SECCOMP_FILTER_FLAG_* */
	uint32_t reserved;
};
