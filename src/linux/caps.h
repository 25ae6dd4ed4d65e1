/* linux/caps.h - capabilities(7): names, and the five sets of a thread. */
#pragma once

#include <stdint.h>

struct error;

#define CAP_SET_ALL (~(uint64_t)0)

struct caps { /* bit n: capability n */
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/* "CAP_CHOWN", any case, with or without the prefix; -EINVAL. */
int caps_parse(const char *name);
/* "CAP_CHOWN"; NULL for an unknown number. */
const char *caps_name(int cap);
/* How many the running kernel knows (cap_last_cap + 1), from prctl(2). */
int caps_count(void);
/* The calling thread's sets. */
int caps_get(struct caps *ret, struct error *err);

/* Drop from the bounding set everything outside `bounding`: while CAP_SETPCAP is still effective. */
int caps_apply_bounding(uint64_t bounding, struct error *err);
/* Set the other four, after the change of user.  What is not permitted now cannot be gained: those
 * bits are left out and returned in *ret_missing (may be NULL).  So are effective ones that are not
 * permitted, and ambient ones that are not both permitted and inheritable. */
int caps_apply(const struct caps *want, uint64_t *ret_missing, struct error *err);
