/* A filter is a function of the architecture, the number and sometimes the arguments.  With the first two
 * given, a run of the program ends in a RET, or comes to where it loads an argument: call that its leaf.
 * The leaf changes only at numbers that the program compares with, so that a run at each of them tells
 * the leaf of every number there is.
 *
 * The new program is, for each architecture, a binary search over the ranges of numbers with the same leaf.
 * Instructions are made from the last to the first, as jumps lead forward only: a target is known when
 * its jump is made, positions are counted from the end.
 */
#include "linux/seccomp_layout.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define NOWHERE     SIZE_MAX
#define JUMP_MAX    255 /* of the 8 bits that a conditional jump has */
#define ACTIONS_MAX 64  /* that are remembered; others are repeated */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF  0U
#define HIGH_HALF 4U
#else
#define LOW_HALF  4U
#define HIGH_HALF 0U
#endif

struct leaf {
	enum { LEAF_ACTION, LEAF_PROGRAM, LEAF_ANSWER } kind;
	uint32_t value; /* the action; an index of the program's instructions, or of the answers */
};

struct range {
	uint32_t first;
	struct leaf leaf;
};

struct layout {
	const struct seccomp_layout_args *args;
	struct sock_filter *insns; /* owned; the last one first */
	size_t count, room;
	size_t *copies;  /* owned; where the program's instructions are now, or NOWHERE */
	size_t *answers; /* owned; where those of the answers begin, or NOWHERE */
	struct {
		uint32_t action;
		size_t position;
	} actions[ACTIONS_MAX];
	size_t action_count;
};

/* -- what the program does ----------------------------------------------------------------- */

static bool compares(const struct sock_filter *in, uint32_t a, bool *ret)
{
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		*ret = a == in->k;
		return true;
	case BPF_JGT:
		*ret = a > in->k;
		return true;
	case BPF_JGE:
		*ret = a >= in->k;
		return true;
	default:
		return false;
	}
}

static int find_leaf(const struct seccomp_layout_args *args, uint32_t arch, uint32_t nr,
		     struct leaf *ret, struct error *err)
{
	uint32_t a = 0;

	for (size_t i = 0; i < args->program_len;) {
		const struct sock_filter *in = &args->program[i++];
		bool yes;

		if (in->code == (BPF_RET | BPF_K)) {
			*ret = (struct leaf){LEAF_ACTION, in->k};
			return 0;
		}
		if (in->code == (BPF_LD | BPF_W | BPF_ABS)) {
			if (in->k >= offsetof(struct seccomp_data, args)) {
				*ret = (struct leaf){LEAF_PROGRAM, (uint32_t)i - 1};
				return 0;
			}
			a = in->k == offsetof(struct seccomp_data, nr) ? nr : arch;
			if (in->k == offsetof(struct seccomp_data, nr) ||
			    in->k == offsetof(struct seccomp_data, arch))
				continue;
		}
		if (in->code == (BPF_JMP | BPF_JA))
			i += in->k;
		else if (BPF_CLASS(in->code) == BPF_JMP && BPF_SRC(in->code) == BPF_K &&
			 compares(in, a, &yes))
			i += yes ? in->jt : in->jf;
		else
			break;
	}
	return error_set(err, ERROR_INTERNAL, EBADMSG,
			 "lay out the filter: unexpected instruction");
}

static int leaf_of(const struct seccomp_layout_args *args, uint32_t arch, uint32_t nr,
		   struct leaf *ret, struct error *err)
{
	for (size_t i = 0; i < args->answer_count; i++) {
		const struct seccomp_answer *answer = &args->answers[i];

		if (answer->arch != arch || nr < answer->first || nr > answer->last)
			continue;
		*ret = answer->n ? (struct leaf){LEAF_ANSWER, (uint32_t)i}
				 : (struct leaf){LEAF_ACTION, answer->otherwise};
		return 0;
	}
	return find_leaf(args, arch, nr, ret, err);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The numbers at which the leaf may change, sorted: malloc'd. */
static uint32_t *find_borders(const struct seccomp_layout_args *args, size_t *ret_count)
{
	uint32_t *borders = xnew0n(uint32_t, 1 + 2 * (args->program_len + args->answer_count));
	size_t n = 1, unique = 1;

	for (size_t i = 0; i < args->program_len; i++) {
		const struct sock_filter *in = &args->program[i];

		if (BPF_CLASS(in->code) != BPF_JMP || BPF_OP(in->code) == BPF_JA)
			continue;
		borders[n++] = in->k;
		borders[n++] = in->k + 1; /* past the last: 0, where one is anyway */
	}
	for (size_t i = 0; i < args->answer_count; i++) {
		borders[n++] = args->answers[i].first;
		borders[n++] = args->answers[i].last + 1;
	}
	qsort(borders, n, sizeof(*borders), by_number);
	for (size_t i = 1; i < n; i++)
		if (borders[i] != borders[unique - 1])
			borders[unique++] = borders[i];
	*ret_count = unique;
	return borders;
}

/* -- instructions -------------------------------------------------------------------------- */

static size_t add(struct layout *l, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 512;
		l->insns = xrealloc(l->insns, l->room, sizeof(*l->insns));
	}
	l->insns[l->count] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
	return l->count++;
}

/* Instructions between the next one to be made and `target`. */
static size_t distance(const struct layout *l, size_t target)
{
	return l->count - target - 1;
}

/* `target`, or a jump to it, within reach of a conditional jump that is made after `more` others. */
static size_t within_reach(struct layout *l, size_t target, size_t more)
{
	size_t d = distance(l, target);

	return d + more <= JUMP_MAX ? target : add(l, BPF_JMP | BPF_JA, 0, 0, (uint32_t)d);
}

static size_t add_jump(struct layout *l, unsigned op, uint32_t k, size_t yes, size_t no)
{
	size_t d;

	yes = within_reach(l, yes, 1);
	no = within_reach(l, no, 0);
	d = distance(l, yes);
	return add(l, BPF_JMP | op | BPF_K, (unsigned)d, (unsigned)distance(l, no), k);
}

/* One that goes on with `next`. */
static size_t add_before(struct layout *l, size_t next, unsigned code, uint32_t k)
{
	if (distance(l, next) > 0)
		(void)add(l, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(l, next));
	return add(l, code, 0, 0, k);
}

static size_t add_load(struct layout *l, size_t next, size_t offset)
{
	return add_before(l, next, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* One RET serves many as long as it is near. */
static size_t add_action(struct layout *l, uint32_t action)
{
	size_t i = 0;

	while (i < l->action_count && l->actions[i].action != action)
		i++;
	if (i < l->action_count && distance(l, l->actions[i].position) < JUMP_MAX / 2)
		return l->actions[i].position;
	if (i == ACTIONS_MAX)
		return add(l, BPF_RET | BPF_K, 0, 0, action);
	l->action_count += i == l->action_count;
	l->actions[i].action = action;
	l->actions[i].position = add(l, BPF_RET | BPF_K, 0, 0, action);
	return l->actions[i].position;
}

/* -- leaves -------------------------------------------------------------------------------- */

static void mark_reachable(const struct seccomp_layout_args *args, size_t from, bool *marks)
{
	marks[from] = true;
	for (size_t i = from; i < args->program_len; i++) {
		const struct sock_filter *in = &args->program[i];
		size_t targets[2] = {i + 1, i + 1};

		if (!marks[i] || BPF_CLASS(in->code) == BPF_RET)
			continue;
		if (in->code == (BPF_JMP | BPF_JA)) {
			targets[0] = targets[1] = i + 1 + in->k;
		} else if (BPF_CLASS(in->code) == BPF_JMP) {
			targets[0] += in->jt;
			targets[1] += in->jf;
		}
		for (size_t j = 0; j < 2; j++)
			if (targets[j] < args->program_len)
				marks[targets[j]] = true;
	}
}

static int copy_one(struct layout *l, size_t i, struct error *err)
{
	const struct sock_filter *in = &l->args->program[i];
	const size_t *copies = l->copies;

	if (in->code == (BPF_RET | BPF_K))
		l->copies[i] = add_action(l, in->k);
	else if (in->code == (BPF_JMP | BPF_JA))
		l->copies[i] = copies[i + 1 + in->k];
	else if (BPF_CLASS(in->code) == BPF_JMP && BPF_SRC(in->code) == BPF_K)
		l->copies[i] = add_jump(l, BPF_OP(in->code), in->k, copies[i + 1 + in->jt],
					copies[i + 1 + in->jf]);
	else if (in->code == (BPF_LD | BPF_W | BPF_ABS) || in->code == (BPF_ALU | BPF_AND | BPF_K))
		l->copies[i] = add_before(l, copies[i + 1], in->code, in->k);
	else
		return error_set(err, ERROR_INTERNAL, EBADMSG,
				 "lay out the filter: unexpected instruction");
	return 0;
}

/* What the program does from there on. */
static int copy_from(struct layout *l, size_t from, size_t *ret, struct error *err)
{
	size_t n = l->args->program_len;
	autofree bool *marks = xnew0n(bool, n);

	mark_reachable(l->args, from, marks);
	for (size_t i = n; i-- > from;) {
		int r = marks[i] && l->copies[i] == NOWHERE ? copy_one(l, i, err) : 0;

		if (r < 0)
			return r;
	}
	*ret = l->copies[from];
	return 0;
}

static size_t add_condition(struct layout *l, const struct seccomp_condition *c, size_t yes,
			    size_t no)
{
	bool masked = c->op == SECCOMP_MASKED_EQ;
	uint64_t value = masked ? c->value_two : c->value;
	uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
	size_t at = offsetof(struct seccomp_data, args) + c->index * sizeof(uint64_t), next;

	/* the opposites, the other way round */
	if (c->op == SECCOMP_NE || c->op == SECCOMP_LT || c->op == SECCOMP_LE) {
		size_t swapped = yes;

		yes = no;
		no = swapped;
	}
	next = add_jump(l,
			c->op == SECCOMP_GT || c->op == SECCOMP_LE   ? BPF_JGT
			: c->op == SECCOMP_GE || c->op == SECCOMP_LT ? BPF_JGE
								     : BPF_JEQ,
			low, yes, no);
	if (masked)
		next = add_before(l, next, BPF_ALU | BPF_AND | BPF_K, (uint32_t)c->value);
	next = add_load(l, next, at + LOW_HALF);
	next = add_jump(l, BPF_JEQ, high, next, no);
	if (c->op != SECCOMP_EQ && c->op != SECCOMP_NE && !masked)
		next = add_jump(l, BPF_JGT, high, yes, next);
	if (masked)
		next = add_before(l, next, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(c->value >> 32));
	return add_load(l, next, at + HIGH_HALF);
}

static size_t add_answer(struct layout *l, size_t index)
{
	const struct seccomp_answer *answer = &l->args->answers[index];
	size_t position = l->answers[index];

	if (position != NOWHERE)
		return position;
	position = add_action(l, answer->otherwise);
	for (size_t i = answer->n; i-- > 0;) {
		const struct seccomp_choice *choice = &answer->choices[i];
		size_t no = position;

		position = add_action(l, choice->action);
		for (size_t j = choice->n; j-- > 0;)
			position = add_condition(l, &choice->conditions[j], position, no);
	}
	l->answers[index] = position;
	return position;
}

static int add_leaf(struct layout *l, struct leaf leaf, size_t *ret, struct error *err)
{
	if (leaf.kind == LEAF_PROGRAM)
		return copy_from(l, leaf.value, ret, err);
	*ret = leaf.kind == LEAF_ACTION ? add_action(l, leaf.value) : add_answer(l, leaf.value);
	return 0;
}

/* -- the search ---------------------------------------------------------------------------- */

/* ranges[from] up to, not including, ranges[to] */
static int add_search(struct layout *l, const struct range *ranges, size_t from, size_t to,
		      size_t *ret, struct error *err)
{
	size_t middle = from + (to - from) / 2, low, high;
	int r;

	if (to - from == 1)
		return add_leaf(l, ranges[from].leaf, ret, err);
	r = add_search(l, ranges, middle, to, &high, err);
	if (r == 0)
		r = add_search(l, ranges, from, middle, &low, err);
	if (r == 0)
		*ret = add_jump(l, BPF_JGE, ranges[middle].first, high, low);
	return r;
}

static int add_arch(struct layout *l, uint32_t arch, const uint32_t *borders, size_t n, size_t *ret,
		    struct error *err)
{
	autofree struct range *ranges = xnew0n(struct range, n);
	size_t count = 0, start;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		struct range *range = &ranges[count];

		r = leaf_of(l->args, arch, borders[i], &range->leaf, err);
		if (r < 0)
			return r;
		range->first = borders[i];
		if (count == 0 || range->leaf.kind != range[-1].leaf.kind ||
		    range->leaf.value != range[-1].leaf.value)
			count++;
	}
	r = add_search(l, ranges, 0, count, &start, err);
	if (r == 0)
		*ret = add_load(l, start, offsetof(struct seccomp_data, nr));
	return r;
}

/* What is said of all architectures that are not told apart. */
static int add_other_arches(struct layout *l, size_t *ret, struct error *err)
{
	struct leaf leaf;
	uint32_t other = 1; /* no AUDIT_ARCH_*, nor a number that a program would compare it with */
	int r = find_leaf(l->args, other, 0, &leaf, err);

	return r < 0 ? r : add_leaf(l, leaf, ret, err);
}

static int add_all(struct layout *l, struct error *err)
{
	const struct seccomp_layout_args *args = l->args;
	size_t n, next, block;
	autofree uint32_t *borders = find_borders(args, &n);
	autofree size_t *blocks = xnew0n(size_t, args->arch_count + 1);
	int r = add_other_arches(l, &next, err);

	for (size_t i = args->arch_count; r == 0 && i-- > 0;) {
		r = add_arch(l, args->arches[i], borders, n, &block, err);
		blocks[i] = block;
	}
	if (r < 0)
		return r;
	for (size_t i = args->arch_count; i-- > 0;)
		next = add_jump(l, BPF_JEQ, args->arches[i], blocks[i], next);
	(void)add_load(l, next, offsetof(struct seccomp_data, arch));
	return 0;
}

int seccomp_layout(const struct seccomp_layout_args *args, struct strbuf *out, struct error *err)
{
	struct layout l = {.args = args,
			   .copies = xnew0n(size_t, args->program_len + 1),
			   .answers = xnew0n(size_t, args->answer_count + 1)};
	int r;

	for (size_t i = 0; i < args->program_len; i++)
		l.copies[i] = NOWHERE;
	for (size_t i = 0; i < args->answer_count; i++)
		l.answers[i] = NOWHERE;
	r = add_all(&l, err);
	for (size_t i = l.count; r == 0 && i-- > 0;)
		strbuf_add(out, &l.insns[i], sizeof(l.insns[i]));
	free(l.insns);
	free(l.copies);
	free(l.answers);
	return r;
}
