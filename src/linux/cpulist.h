/* linux/cpulist.h - lists of processors or memory nodes as the kernel writes them: "0-3,7" (cpuset(7),
 * "List format"). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CPULIST_BITS  8192 /* the most processors a kernel is built for */
#define CPULIST_WORDS (CPULIST_BITS / 64)

/* Bit n of word n / 64: number n is in the list.  Spaces around numbers are fine, an empty list is an
 * empty set.  Returns one more than the highest number, 0 for the empty set; -EINVAL for what is no
 * list, -ERANGE for numbers that do not fit. */
int cpulist_parse(const char *list, uint64_t ret[static CPULIST_WORDS]);
