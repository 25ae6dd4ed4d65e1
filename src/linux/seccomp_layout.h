/* linux/seccomp_layout.h - a filter laid out anew, as small as the system calls it tells apart allow.
 *
 * What a filter costs at a container's start, the kernel's check, translation and compilation of it and
 * the try of every system call (Linux 5.11), grows with its instructions; and libseccomp compares with
 * one number after another, where neighbours mostly fare alike.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct error;
struct sock_filter;
struct strbuf;

enum seccomp_operator {
	SECCOMP_NE,
	SECCOMP_LT,
	SECCOMP_LE,
	SECCOMP_EQ,
	SECCOMP_GE,
	SECCOMP_GT,
	SECCOMP_MASKED_EQ, /* value is the mask, value_two what is left */
	SECCOMP_OPERATOR_COUNT,
};

/* On one of the six arguments of a system call, all 64 bits of it. */
struct seccomp_condition {
	uint32_t index;
	enum seccomp_operator op;
	uint64_t value, value_two;
};

/* What the filter returns when all of its conditions hold. */
struct seccomp_choice {
	uint32_t action; /* SECCOMP_RET_* and its data */
	const struct seccomp_condition *conditions;
	size_t n;
};

/* For some numbers of an architecture: the first choice that fits, else `otherwise`. */
struct seccomp_answer {
	uint32_t arch;        /* AUDIT_ARCH_* */
	uint32_t first, last; /* both included */
	const struct seccomp_choice *choices;
	size_t n;
	uint32_t otherwise;
};

struct seccomp_layout_args {
	const struct sock_filter *program; /* decides where no answer does */
	size_t program_len;
	const uint32_t *arches; /* that it tells apart, AUDIT_ARCH_*, without repetition */
	size_t arch_count;
	const struct seccomp_answer *answers; /* of overlapping ones the first counts */
	size_t answer_count;
};

/* Append a program (struct sock_filter) that returns the same for all that can be asked of it.
 * ERROR_INTERNAL for a program that computes with the number of a system call, or does more than load,
 * mask, compare and return. */
int seccomp_layout(const struct seccomp_layout_args *args, struct strbuf *out, struct error *err);
