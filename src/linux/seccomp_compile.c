/* libseccomp does the work; what it cannot is added when its program is laid out anew.
 *
 * System calls that are newer than libseccomp's tables get their numbers from a table here, and
 * those that are newer than the whole profile answer ENOSYS: programs probe for new system calls
 * and fall back only on that (glibc treats EPERM as final).  "Newer" means a number above all that
 * the profile names for the architecture.  The calls of x32 have their own numbers, far above all others:
 * they are left to libseccomp.
 */
#include "linux/seccomp_compile.h"

#include <ctype.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json_decode.h"
#include "base/str.h"
#include "linux/seccomp_layout.h"
#include "linux/seccomp_priv.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define ARCHES_MAX    8
#define NEW_CALLS_MAX 64
#define CHOICES_MAX   1024 /* for a new call */
#define X32_BIT       0x40000000U
#define BINARY_TREE   2 /* SCMP_FLTATR_CTL_OPTIMIZE */

struct argument {
	uint32_t index;
	uint64_t value, value_two;
	const char *op;
};
struct rule {
	struct json_strings names;
	const char *action;
	const uint32_t *errno_ret;
	struct json_objects args; /* struct argument */
};
struct profile {
	const char *default_action;
	const uint32_t *default_errno_ret;
	struct json_strings architectures, flags;
	struct json_objects syscalls; /* struct rule */
};

static const struct json_field argument_fields[] = {
	JSON_FIELD(struct argument, "index", JSON_DECODE_U32, index, JSON_REQUIRED),
	JSON_FIELD(struct argument, "value", JSON_DECODE_U64, value, JSON_REQUIRED),
	JSON_FIELD(struct argument, "valueTwo", JSON_DECODE_U64, value_two, 0),
	JSON_FIELD(struct argument, "op", JSON_DECODE_STRING, op, JSON_REQUIRED),
	{0},
};
static const struct json_field rule_fields[] = {
	JSON_FIELD(struct rule, "names", JSON_DECODE_STRINGS, names, JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct rule, "action", JSON_DECODE_STRING, action, JSON_REQUIRED),
	JSON_FIELD(struct rule, "errnoRet", JSON_DECODE_OPT_U32, errno_ret, 0),
	JSON_FIELD_PTR(struct rule, "args", JSON_DECODE_OBJECTS, args, argument_fields,
		       struct argument, 0),
	{0},
};
static const struct json_field profile_fields[] = {
	JSON_FIELD(struct profile, "defaultAction", JSON_DECODE_STRING, default_action,
		   JSON_REQUIRED),
	JSON_FIELD(struct profile, "defaultErrnoRet", JSON_DECODE_OPT_U32, default_errno_ret, 0),
	JSON_FIELD(struct profile, "architectures", JSON_DECODE_STRINGS, architectures, 0),
	JSON_FIELD(struct profile, "flags", JSON_DECODE_STRINGS, flags, 0),
	JSON_FIELD_PTR(struct profile, "syscalls", JSON_DECODE_OBJECTS, syscalls, rule_fields,
		       struct rule, 0),
	{0},
};

/* Since 5.1 a new system call has one number on all architectures that we know. */
static const struct {
	const char *name;
	int nr;
} new_calls[] = {
	{"set_mempolicy_home_node", 450},
	{"cachestat", 451},
	{"fchmodat2", 452},
	{"map_shadow_stack", 453},
	{"futex_wake", 454},
	{"futex_wait", 455},
	{"futex_requeue", 456},
	{"statmount", 457},
	{"listmount", 458},
	{"lsm_get_self_attr", 459},
	{"lsm_set_self_attr", 460},
	{"lsm_list_modules", 461},
	{"mseal", 462},
	{"setxattrat", 463},
	{"getxattrat", 464},
	{"listxattrat", 465},
	{"removexattrat", 466},
	{"open_tree_attr", 467},
	{"file_getattr", 468},
	{"file_setattr", 469},
};

static int new_call(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(new_calls); i++)
		if (strcmp(new_calls[i].name, name) == 0)
			return new_calls[i].nr;
	return -1;
}

/* -- names --------------------------------------------------------------------------------- */

#define ERRNO_MAX 4095 /* the kernel's MAX_ERRNO */

static int parse_action(const char *name, const char *errno_field, const uint32_t *errno_ret,
			uint32_t *ret, struct error *err)
{
	static const struct {
		const char *name;
		uint32_t action, max; /* max: of the value that goes with it; 0: none may */
	} actions[] = {
		{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, 0},
		{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, 0},
		{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, 0},
		{"SCMP_ACT_TRAP", SCMP_ACT_TRAP, 0},
		{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), ERRNO_MAX},
		{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), SECCOMP_RET_DATA},
		{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, 0},
		{"SCMP_ACT_LOG", SCMP_ACT_LOG, 0},
		{"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		if (errno_ret && actions[i].max == 0)
			return error_set(err, ERROR_INVALID, 0, "%s: %s takes none", errno_field,
					 name);
		if (errno_ret && *errno_ret > actions[i].max)
			return error_set(err, ERROR_INVALID, 0, "%s: more than %u", errno_field,
					 actions[i].max);
		*ret = actions[i].action;
		if (actions[i].max)
			*ret |= errno_ret ? *errno_ret : EPERM;
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "unknown action '%s'", name);
}

static const struct {
	const char *name;
	enum scmp_compare libseccomps;
} operators[] = {
	[SECCOMP_NE] = {"SCMP_CMP_NE", SCMP_CMP_NE},
	[SECCOMP_LT] = {"SCMP_CMP_LT", SCMP_CMP_LT},
	[SECCOMP_LE] = {"SCMP_CMP_LE", SCMP_CMP_LE},
	[SECCOMP_EQ] = {"SCMP_CMP_EQ", SCMP_CMP_EQ},
	[SECCOMP_GE] = {"SCMP_CMP_GE", SCMP_CMP_GE},
	[SECCOMP_GT] = {"SCMP_CMP_GT", SCMP_CMP_GT},
	[SECCOMP_MASKED_EQ] = {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};
_Static_assert(ARRAY_SIZE(operators) == SECCOMP_OPERATOR_COUNT, "one name each");

static int parse_operator(const char *name, enum seccomp_operator *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (strcmp(operators[i].name, name) == 0) {
			*ret = (enum seccomp_operator)i;
			return 0;
		}
	return error_set(err, ERROR_INVALID, 0, "unknown operator '%s'", name);
}

static int parse_flags(const struct json_strings *flags, uint32_t *ret, struct error *err)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} names[] = {
		{"SECCOMP_FILTER_FLAG_TSYNC", 0}, /* what is filtered has one thread */
		{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
		{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
	};
	/* Unless the profile says otherwise, no speculation mitigation: the kernel's default since
	 * 5.16 and the runtimes'. */
	uint32_t set = flags->v ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	for (size_t i = 0; i < flags->n; i++) {
		size_t j = 0;

		while (j < ARRAY_SIZE(names) && strcmp(names[j].name, flags->v[i]) != 0)
			j++;
		if (j == ARRAY_SIZE(names))
			return error_set(err, ERROR_INVALID, 0, "flags[%zu]: unknown flag '%s'", i,
					 flags->v[i]);
		set |= names[j].flag;
	}
	*ret = set;
	return 0;
}

/* -- libseccomp ---------------------------------------------------------------------------- */

/* A call that libseccomp does not know. */
struct extra {
	int nr;
	struct seccomp_choice *choices; /* owned */
	size_t count, room;
};

struct compiler {
	scmp_filter_ctx ctx;
	struct arena *arena; /* borrowed: of the profile */
	uint32_t default_action;
	bool notifies; /* some rule or the default is SCMP_ACT_NOTIFY */
	uint32_t arches[ARCHES_MAX];
	size_t arch_count;
	struct extra extra[NEW_CALLS_MAX];
	size_t extra_count;
	int newest[ARCHES_MAX]; /* highest number that the profile names */
};

/* The architectures of the specification, by the machines whose kernels run their programs. */
static const struct {
	const char *name;   /* in SCMP_ARCH_... */
	const char *family; /* NULL: a family of its own */
} known_arches[] = {
	{"X86", "x86"},
	{"X86_64", "x86"},
	{"X32", "x86"},
	{"ARM", "arm"},
	{"AARCH64", "arm"},
	{"MIPS", "mips"},
	{"MIPS64", "mips"},
	{"MIPS64N32", "mips"},
	{"MIPSEL", "mipsel"},
	{"MIPSEL64", "mipsel"},
	{"MIPSEL64N32", "mipsel"},
	{"PPC", "ppc"},
	{"PPC64", "ppc"},
	{"PPC64LE", NULL},
	{"S390", "s390"},
	{"S390X", "s390"},
	{"PARISC", "parisc"},
	{"PARISC64", "parisc"},
	{"RISCV64", NULL},
	{"LOONGARCH64", NULL},
	{"M68K", NULL},
	{"SH", NULL},
	{"SHEB", NULL},
};

/* libseccomp's token, 0 if it does not know the name */
static uint32_t arch_token(const char *name)
{
	char lower[32];

	if (!str_copy(lower, sizeof(lower), name))
		return 0;
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return seccomp_arch_resolve_name(lower);
}

static const char *native_family(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_arches); i++)
		if (arch_token(known_arches[i].name) == seccomp_arch_native())
			return known_arches[i].family ? known_arches[i].family
						      : known_arches[i].name;
	return "";
}

static int add_arch(struct compiler *c, const char *full_name, struct error *err)
{
	const char *name = full_name + strlen("SCMP_ARCH_"), *family;
	uint32_t token;
	size_t i = 0;
	int r;

	if (str_has_prefix(full_name, "SCMP_ARCH_"))
		while (i < ARRAY_SIZE(known_arches) && strcmp(known_arches[i].name, name) != 0)
			i++;
	else
		i = ARRAY_SIZE(known_arches);
	if (i == ARRAY_SIZE(known_arches))
		return error_set(err, ERROR_INVALID, 0, "unknown architecture '%s'", full_name);
	family = known_arches[i].family ? known_arches[i].family : name;
	token = arch_token(name);
	/* No call of another machine's architecture ever comes here: nothing to filter. */
	if (token == 0 || strcmp(family, native_family()) != 0)
		return 0;
	r = seccomp_arch_add(c->ctx, token);
	if (r == -EEXIST)
		return 0;
	if (r < 0)
		return error_set(err, ERROR_INVALID, -r, "architecture '%s'", full_name);
	if (c->arch_count == ARCHES_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "architectures");
	c->arches[c->arch_count++] = token;
	return 0;
}

static int add_arches(struct compiler *c, const struct json_strings *names, struct error *err)
{
	c->arches[c->arch_count++] = seccomp_arch_native();
	for (size_t i = 0; i < names->n; i++) {
		int r = add_arch(c, names->v[i], err);

		if (r < 0)
			return error_wrap(err, r, "architectures[%zu]", i);
	}
	return 0;
}

static void note_newest(struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->arch_count; i++) {
		int nr = seccomp_syscall_resolve_name_arch(c->arches[i], name);

		if (nr < 0) /* also the pseudo numbers of calls that the architecture lacks */
			nr = new_call(name);
		if (nr >= 0 && (c->arches[i] != SCMP_ARCH_X32) && nr > c->newest[i])
			c->newest[i] = nr;
	}
}

static struct extra *find_extra(struct compiler *c, int nr)
{
	size_t i = 0;

	while (i < c->extra_count && c->extra[i].nr != nr)
		i++;
	if (i == NEW_CALLS_MAX)
		return NULL;
	if (i == c->extra_count)
		c->extra[c->extra_count++].nr = nr;
	return &c->extra[i];
}

/* One rule for a call that libseccomp does not know. */
static int add_extra(struct compiler *c, const char *name, uint32_t action,
		     const struct seccomp_condition *conditions, size_t n, struct error *err)
{
	struct extra *e;
	int nr = new_call(name);

	if (nr < 0)
		return 0; /* of another architecture, or newer than all of us: falls to the default */
	e = find_extra(c, nr);
	if (!e || e->count == CHOICES_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "new system calls");
	if (e->count > 0 && e->choices[e->count - 1].n == 0)
		return 0; /* never asked */
	xgrow(e->choices, e->count, e->room);
	e->choices[e->count++] = (struct seccomp_choice){
		.action = action,
		.conditions =
			n ? arena_memdup(c->arena, conditions, n * sizeof(*conditions)) : NULL,
		.n = n,
	};
	return 0;
}

#define CONDITIONS_MAX 6

static int add_rule(struct compiler *c, const char *name, uint32_t action,
		    const struct seccomp_condition *conditions, size_t n, struct error *err)
{
	struct scmp_arg_cmp args[CONDITIONS_MAX];
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr == __NR_SCMP_ERROR)
		return add_extra(c, name, action, conditions, n, err);
	for (size_t i = 0; i < n; i++)
		args[i] = (struct scmp_arg_cmp){conditions[i].index,
						operators[conditions[i].op].libseccomps,
						conditions[i].value, conditions[i].value_two};
	r = seccomp_rule_add_array(c->ctx, action, nr, (unsigned)n, args);
	/* EDOM: none of the architectures has it; EEXIST: said before */
	if (r == 0 || r == -EEXIST || r == -EDOM)
		return 0;
	return error_set(err, ERROR_INVALID, -r, "system call '%s'", name);
}

static int add_conditions(struct compiler *c, const struct rule *rule, const char *name,
			  uint32_t action, struct error *err)
{
	struct seccomp_condition conditions[CONDITIONS_MAX];
	bool used[CONDITIONS_MAX] = {false}, repeated = false;
	int r;

	if (rule->args.n > CONDITIONS_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "args of '%s'", name);
	for (size_t i = 0; i < rule->args.n; i++) {
		const struct argument *a = &((const struct argument *)rule->args.v)[i];
		enum seccomp_operator op = SECCOMP_EQ;

		if (a->index >= CONDITIONS_MAX)
			return error_set(err, ERROR_INVALID, 0, "args[%zu].index of '%s'", i, name);
		r = parse_operator(a->op, &op, err);
		if (r < 0)
			return r;
		repeated = repeated || used[a->index];
		used[a->index] = true;
		conditions[i] = (struct seccomp_condition){a->index, op, a->value, a->value_two};
	}
	if (!repeated)
		return add_rule(c, name, action, conditions, rule->args.n, err);
	/* Two conditions on one argument are alternatives, as the other runtimes read them. */
	for (size_t i = 0; i < rule->args.n; i++) {
		r = add_rule(c, name, action, &conditions[i], 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_rules(struct compiler *c, const struct rule *rule, struct error *err)
{
	uint32_t action = 0;
	int r = parse_action(rule->action, "errnoRet", rule->errno_ret, &action, err);

	c->notifies = c->notifies || action == SCMP_ACT_NOTIFY;
	for (size_t i = 0; r == 0 && i < rule->names.n; i++) {
		note_newest(c, rule->names.v[i]);
		if (action != c->default_action) /* says nothing, and libseccomp refuses it */
			r = add_conditions(c, rule, rule->names.v[i], action, err);
	}
	return r;
}

/* -- the program --------------------------------------------------------------------------- */

static bool is_permissive(uint32_t action)
{
	return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG || action == SCMP_ACT_NOTIFY;
}

/* What libseccomp's program does not decide: fills `ret`, which has room. */
static size_t collect_answers(const struct compiler *c, struct seccomp_answer *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->arch_count; i++) {
		uint32_t arch = c->arches[i];

		if (arch == SCMP_ARCH_X32)
			continue;
		for (size_t j = 0; j < c->extra_count; j++)
			ret[n++] = (struct seccomp_answer){
				.arch = arch,
				.first = (uint32_t)c->extra[j].nr,
				.last = (uint32_t)c->extra[j].nr,
				.choices = c->extra[j].choices,
				.n = c->extra[j].count,
				.otherwise = c->default_action,
			};
		if (!is_permissive(c->default_action) && c->newest[i] > 0)
			ret[n++] = (struct seccomp_answer){
				.arch = arch,
				.first = (uint32_t)c->newest[i] + 1,
				.last = arch == SCMP_ARCH_X86_64 ? X32_BIT - 1 : UINT32_MAX,
				.otherwise = SECCOMP_RET_ERRNO | ENOSYS,
			};
	}
	return n;
}

/* libseccomp's program; malloc'd. */
static int export_program(const struct compiler *c, struct sock_filter **ret, size_t *ret_len,
			  struct error *err)
{
	autoclose int fd = memfd_create("bpf", MFD_CLOEXEC);
	autofree struct sock_filter *program = NULL;
	struct stat st;
	size_t size = 0;
	int r = fd < 0 ? -errno : seccomp_export_bpf(c->ctx, fd);

	if (r == 0 && fstat(fd, &st) == 0)
		size = (size_t)st.st_size;
	if (size > 0)
		program = xnew0n(struct sock_filter, size / sizeof(*program));
	if (size == 0 || pread(fd, program, size, 0) != (ssize_t)size)
		return error_set(err, ERROR_INTERNAL, r < 0 ? -r : EIO, "export the filter");
	*ret = TAKE_PTR(program);
	*ret_len = size / sizeof(**ret);
	return 0;
}

static int lay_out(const struct compiler *c, struct strbuf *out, struct error *err)
{
	autofree struct sock_filter *program = NULL;
	struct seccomp_answer answers[ARCHES_MAX * (NEW_CALLS_MAX + 1)];
	uint32_t arches[ARCHES_MAX];
	struct seccomp_layout_args args = {.arches = arches, .answers = answers};
	int r = export_program(c, &program, &args.program_len, err);

	if (r < 0)
		return r;
	args.program = program;
	for (size_t i = 0; i < c->arch_count; i++)
		if (c->arches[i] != SCMP_ARCH_X32) /* its calls come as x86_64's */
			arches[args.arch_count++] = c->arches[i];
	args.answer_count = collect_answers(c, answers);
	return seccomp_layout(&args, out, err);
}

static int emit_program(const struct compiler *c, uint32_t flags, char **ret, size_t *ret_len,
			struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(sizeof(struct seccomp_header) +
						   SECCOMP_INSNS_MAX * sizeof(struct sock_filter));
	struct seccomp_header header = {.flags = flags};
	int r;

	strbuf_add(&out, &header, sizeof(header));
	r = lay_out(c, &out, err);
	if (r < 0)
		return r;
	if (strbuf_error(&out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "filter");
	memcpy(header.magic, SECCOMP_MAGIC, sizeof(header.magic));
	header.count = (uint32_t)((out.len - sizeof(header)) / sizeof(struct sock_filter));
	memcpy(out.s, &header, sizeof(header));
	*ret_len = out.len;
	*ret = strbuf_take(&out);
	return 0;
}

static void compiler_done(struct compiler *c)
{
	for (size_t i = 0; i < c->extra_count; i++)
		free(c->extra[i].choices);
	if (c->ctx)
		seccomp_release(c->ctx);
}

static int compile(struct arena *a, const struct profile *p, char **ret, size_t *ret_len,
		   struct error *err)
{
	__attribute__((cleanup(compiler_done))) struct compiler c = {.arena = a};
	uint32_t flags = 0;
	int r;

	r = parse_flags(&p->flags, &flags, err);
	if (r == 0)
		r = parse_action(p->default_action, "defaultErrnoRet", p->default_errno_ret,
				 &c.default_action, err);
	if (r < 0)
		return r;
	c.ctx = seccomp_init(c.default_action);
	if (!c.ctx)
		return error_set(err, ERROR_INVALID, EINVAL, "defaultAction '%s'",
				 p->default_action);
	r = add_arches(&c, &p->architectures, err);
	/* A binary tree: a fraction of the instructions run for the average call. */
	if (r == 0)
		r = seccomp_attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
	for (size_t i = 0; r == 0 && i < p->syscalls.n; i++) {
		r = add_rules(&c, &((const struct rule *)p->syscalls.v)[i], err);
		if (r < 0)
			r = error_wrap(err, r, "syscalls[%zu]", i);
	}
	/* Who waits for an agent's answer does so for a listener; there is none without such a rule. */
	if (c.notifies || c.default_action == SCMP_ACT_NOTIFY)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	else
		flags &= ~(uint32_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	if (r == 0)
		r = emit_program(&c, flags, ret, ret_len, err);
	return r;
}

int seccomp_compile(const char *profile, size_t len, char **ret, size_t *ret_len, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct profile p = {0};
	const struct json *v;
	int r = json_parse(a, profile, len, &v, err);

	if (r == 0)
		r = json_decode(a, v, profile_fields, &p, "", err);
	return r < 0 ? r : compile(a, &p, ret, ret_len, err);
}
