/* The v2 device policy: rules compiled to a BPF_PROG_TYPE_CGROUP_DEVICE program.
 *
 * The last rule that matches decides, as with v1's allow and deny files; so the program tries them
 * from the last to the first, and denies when none matches.  A rule of type 'a' matches everything.
 * An allow rule matches when it grants all the access asked for; a deny rule when it names any of
 * it.  bpf(2); struct bpf_cgroup_dev_ctx: access_type is (access << 16) | type.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "linux/cgroup_priv.h"

#define RULE_INSNS 8

struct program {
	struct bpf_insn *insns; /* owned */
	size_t n;
};

static void emit(struct program *p, uint8_t code, unsigned regs, int16_t off, int32_t imm)
{
	p->insns[p->n++] = (struct bpf_insn){.code = code,
					     .dst_reg = regs & 15,
					     .src_reg = (uint8_t)(regs >> 4 & 15),
					     .off = off,
					     .imm = imm};
}
#define REGS(dst, src) ((unsigned)(dst) | (unsigned)(src) << 4)

/* r2: type, r3: access, r4: major, r5: minor */
static void emit_prologue(struct program *p)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REGS(BPF_REG_2, BPF_REG_1), 0, 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, REGS(BPF_REG_3, BPF_REG_2), 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, REGS(BPF_REG_2, 0), 0, 0xffff);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, REGS(BPF_REG_3, 0), 0, 16);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REGS(BPF_REG_4, BPF_REG_1), 4, 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REGS(BPF_REG_5, BPF_REG_1), 8, 0);
}

static void emit_verdict(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, REGS(BPF_REG_0, 0), 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static void emit_rule(struct program *p, const struct cgroup_device_rule *rule)
{
	int32_t access = (rule->read ? BPF_DEVCG_ACC_READ : 0) |
			 (rule->write ? BPF_DEVCG_ACC_WRITE : 0) |
			 (rule->mknod ? BPF_DEVCG_ACC_MKNOD : 0);
	size_t tests[4], count = 0; /* jumps to patch to the rule's end */

	if (rule->type != 'a') {
		tests[count++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, REGS(BPF_REG_2, 0), 0,
		     rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
		/* r1 is spent: access asked for but not in the rule (allow), or in both (deny) */
		emit(p, BPF_ALU | BPF_MOV | BPF_X, REGS(BPF_REG_1, BPF_REG_3), 0, 0);
		emit(p, BPF_ALU | BPF_AND | BPF_K, REGS(BPF_REG_1, 0), 0,
		     rule->allow ? ~access & 7 : access);
		tests[count++] = p->n;
		emit(p, rule->allow ? BPF_JMP | BPF_JNE | BPF_K : BPF_JMP | BPF_JEQ | BPF_K,
		     REGS(BPF_REG_1, 0), 0, 0);
		if (rule->major >= 0) {
			tests[count++] = p->n;
			emit(p, BPF_JMP | BPF_JNE | BPF_K, REGS(BPF_REG_4, 0), 0,
			     (int32_t)rule->major);
		}
		if (rule->minor >= 0) {
			tests[count++] = p->n;
			emit(p, BPF_JMP | BPF_JNE | BPF_K, REGS(BPF_REG_5, 0), 0,
			     (int32_t)rule->minor);
		}
	}
	emit_verdict(p, rule->allow);
	for (size_t i = 0; i < count; i++)
		p->insns[tests[i]].off = (int16_t)(p->n - tests[i] - 1);
}

static int load(const struct program *p, char *log, size_t log_size)
{
	union bpf_attr attr = {0};

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)p->n;
	attr.insns = (uint64_t)(uintptr_t)p->insns;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	if (log) {
		attr.log_level = 1;
		attr.log_buf = (uint64_t)(uintptr_t)log;
		attr.log_size = (uint32_t)log_size;
	}
	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int cgroup_bpf_devices(int dir_fd, const struct cgroup_device_rule *rules, size_t n,
		       struct error *err)
{
	autofree struct bpf_insn *insns = xnew0n(struct bpf_insn, 8 + n * RULE_INSNS);
	struct program p = {.insns = insns};
	union bpf_attr attr = {0};
	autoclose int prog = -EBADF, dir = -EBADF;
	bool decided = false;

	emit_prologue(&p);
	for (size_t i = n; i-- > 0 && !decided;) {
		emit_rule(&p, &rules[i]);
		decided = rules[i].type == 'a'; /* the verifier refuses unreachable code */
	}
	if (!decided)
		emit_verdict(&p, false);

	prog = load(&p, NULL, 0);
	if (prog < 0)
		return error_set(err, ERROR_INTERNAL, errno, "load the device policy");
	dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (dir < 0 || syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "attach the device policy");
	return 0;
}
