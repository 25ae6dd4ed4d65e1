/* The new program returns what the old one does: both are run here, for all that tells calls apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/seccomp_layout.h"

#define X32 0x40000000U

static uint32_t run(const struct sock_filter *program, size_t n, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sock_filter *in = &program[i];
		bool yes = false;

		switch (in->code) {
		case BPF_RET | BPF_K:
			return in->k;
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(in->k % 4 == 0 && in->k < sizeof(*data));
			memcpy(&a, (const char *)data + in->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= in->k;
			continue;
		case BPF_JMP | BPF_JA:
			i += in->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == in->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > in->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= in->k;
			break;
		default:
			fail_msg("instruction %zu has code %#x", i, in->code);
		}
		i += yes ? in->jt : in->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

struct laid_out {
	struct strbuf text;
	const struct sock_filter *program;
	size_t n;
};

static struct laid_out lay_out(const struct seccomp_layout_args *args)
{
	struct laid_out l = {.text = STRBUF_INIT((size_t)1 << 20)};
	struct error err = {0};

	if (seccomp_layout(args, &l.text, &err) < 0)
		fail_msg("%s", error_msg(&err));
	l.program = (const void *)l.text.s;
	l.n = l.text.len / sizeof(*l.program);
	return l;
}

/* -- programs of libseccomp's ---------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static struct sock_filter *export(scmp_filter_ctx ctx, size_t *ret_n)
{
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	struct sock_filter *program;
	off_t size;

	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	size = lseek(fd, 0, SEEK_END);
	program = xnew0n(struct sock_filter, (size_t)size / sizeof(*program));
	assert_int_equal(pread(fd, program, (size_t)size, 0), size);
	(void)close(fd);
	*ret_n = (size_t)size / sizeof(*program);
	return program;
}

static void add_rule(scmp_filter_ctx ctx)
{
	static const uint32_t actions[] = {SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(1), SCMP_ACT_ERRNO(38),
					   SCMP_ACT_KILL_PROCESS, SCMP_ACT_LOG};
	static const enum scmp_compare ops[] = {SCMP_CMP_NE,       SCMP_CMP_LT, SCMP_CMP_LE,
						SCMP_CMP_EQ,       SCMP_CMP_GE, SCMP_CMP_GT,
						SCMP_CMP_MASKED_EQ};
	struct scmp_arg_cmp args[3];
	unsigned n = any(3) ? 0 : 1 + any(3);

	for (unsigned i = 0; i < n; i++)
		args[i] = (struct scmp_arg_cmp){i, ops[any(7)], any(4), any(4)};
	/* refused ones say nothing */
	(void)seccomp_rule_add_array(ctx, actions[any(ARRAY_SIZE(actions))], (int)any(440), n,
				     args);
}

static void compare(const struct sock_filter *old, size_t old_n, const struct laid_out *l,
		    uint32_t arch, uint32_t nr)
{
	struct seccomp_data data = {.arch = arch, .nr = (int)nr};

	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 6; j++)
			data.args[j] = (uint64_t)any(5) << (any(5) ? 0 : 32);
		assert_int_equal(run(old, old_n, &data), run(l->program, l->n, &data));
	}
}

static void same_as_before(void **state)
{
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386};
	static const uint32_t numbers[] = {X32 - 1,    X32,       X32 + 1,    X32 + 512,  X32 + 547,
					   X32 + 1000, INT32_MAX, 0x80000000, UINT32_MAX, 100000};

	(void)state;
	for (int round = 0; round < 30; round++) {
		scmp_filter_ctx ctx = seccomp_init(any(2) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(22));
		struct seccomp_layout_args args = {.arches = arches, .arch_count = 1};
		struct sock_filter *old;
		struct laid_out l;

		if (round % 2) {
			assert_int_equal(seccomp_arch_add(ctx, SCMP_ARCH_X86), 0);
			assert_int_equal(seccomp_arch_add(ctx, SCMP_ARCH_X32), 0);
			args.arch_count = 2;
		}
		if (round % 3)
			(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		for (int i = 0; i < 10 * round; i++)
			add_rule(ctx);
		old = export(ctx, &args.program_len);
		args.program = old;
		l = lay_out(&args);
		for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
			for (uint32_t nr = 0; nr < 470; nr++)
				compare(old, args.program_len, &l, arches[i], nr);
			for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
				compare(old, args.program_len, &l, arches[i], numbers[j]);
		}
		compare(old, args.program_len, &l, AUDIT_ARCH_AARCH64, 0);
		assert_true(l.n <= 2 * args.program_len);
		strbuf_done(&l.text);
		free(old);
		seccomp_release(ctx);
	}
}

/* -- answers ------------------------------------------------------------------------------- */

static const struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
static const uint32_t native[] = {AUDIT_ARCH_X86_64};

static bool holds(const struct seccomp_condition *c, uint64_t v)
{
	const bool answers[] = {
		[SECCOMP_NE] = v != c->value,
		[SECCOMP_LT] =
			v<c->value, [SECCOMP_LE] = v <= c->value, [SECCOMP_EQ] = v == c->value,
			  [SECCOMP_GE] = v >= c->value, [SECCOMP_GT] = v>
				c->value,
		[SECCOMP_MASKED_EQ] = (v & c->value) == c->value_two,
	};

	return answers[c->op];
}

static void conditions(void **state)
{
	static const uint64_t values[] = {0,           1,           5,          0x100000000,
					  0x100000005, 0x500000001, UINT32_MAX, UINT64_MAX};

	(void)state;
	for (int op = 0; op < SECCOMP_OPERATOR_COUNT; op++)
		for (size_t i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values); i++) {
			struct seccomp_condition c = {3, (enum seccomp_operator)op, values[i / 8],
						      values[i % 8]};
			const struct seccomp_choice choice = {7, &c, 1};
			const struct seccomp_answer answer = {native[0], 450, 450, &choice, 1, 9};
			const struct seccomp_layout_args args = {allow, 1, native, 1, &answer, 1};
			struct laid_out l = lay_out(&args);

			for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
				struct seccomp_data data = {
					.arch = native[0], .nr = 450, .args = {[3] = values[j]}};

				assert_int_equal(run(l.program, l.n, &data),
						 holds(&c, values[j]) ? 7 : 9);
				data.nr = 449 + 2 * (int)(j % 2);
				assert_int_equal(run(l.program, l.n, &data), SECCOMP_RET_ALLOW);
			}
			strbuf_done(&l.text);
		}
}

/* The first choice that fits; of overlapping answers the first; ranges to the last number there is. */
static void precedence(void **state)
{
	static const struct seccomp_condition both[] = {{0, SECCOMP_EQ, 1, 0},
							{1, SECCOMP_EQ, 2, 0}};
	static const struct seccomp_choice choices[] = {
		{11, both, 2}, {12, both, 1}, {13, NULL, 0}};
	static const struct seccomp_answer answers[] = {
		{AUDIT_ARCH_X86_64, 10, 10, choices, 3, 99},
		{AUDIT_ARCH_X86_64, 5, UINT32_MAX, NULL, 0, 55},
	};
	const struct seccomp_layout_args args = {allow, 1, native, 1, answers, 2};
	struct laid_out l = lay_out(&args);
	static const struct {
		int nr;
		uint64_t a, b;
		uint32_t action;
	} cases[] = {
		{10, 1, 2, 11},
		{10, 1, 3, 12},
		{10, 2, 2, 13},
		{9, 1, 2, 55},
		{11, 1, 2, 55},
		{-1, 0, 0, 55},
		{4, 1, 2, SECCOMP_RET_ALLOW},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct seccomp_data data = {.arch = AUDIT_ARCH_X86_64,
						  .nr = cases[i].nr,
						  .args = {cases[i].a, cases[i].b}};

		assert_int_equal(run(l.program, l.n, &data), cases[i].action);
	}
	strbuf_done(&l.text);
}

/* What cannot be taken apart is refused, not guessed. */
static void refusals(void **state)
{
	static const struct sock_filter masks_nr[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},  {BPF_ALU | BPF_AND | BPF_K, 0, 0, 1},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1}, {BPF_RET | BPF_K, 0, 0, 1},
		{BPF_RET | BPF_K, 0, 0, 2},
	};
	static const struct sock_filter loads_ip[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, 8},
		{BPF_RET | BPF_K, 0, 0, 1},
	};
	const struct seccomp_layout_args args[] = {
		{masks_nr, ARRAY_SIZE(masks_nr), native, 1, NULL, 0},
		{loads_ip, ARRAY_SIZE(loads_ip), native, 1, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		autostrbuf struct strbuf out = STRBUF_INIT(4096);
		struct error err = {0};

		assert_true(seccomp_layout(&args[i], &out, &err) < 0);
		assert_int_equal(err.kind, ERROR_INTERNAL);
		error_done(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_before),
		cmocka_unit_test(conditions),
		cmocka_unit_test(precedence),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
