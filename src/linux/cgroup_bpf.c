/* The v2 device policy: rules compiled to a BPF_PROG_TYPE_CGROUP_DEVICE program.
 *
 * The last rule that matches decides, as with v1's allow and deny files; so the program tries them
 * from the last to the first, and denies when none matches.  A rule of type 'a' matches everything.
 * An allow rule matches when it grants all the access asked for; a deny rule when it names any of
 * it.  bpf(2); struct bpf_cgroup_dev_ctx: access_type is (access << 16) | type.
 *
 * Nearly all containers have the same few rule sets.  So a program is pinned in the BPF file system, named by
 * its rules themselves, and the next container with these rules attaches the same one: no verifier, no
 * second copy in memory.  (A hash for a name would have to withstand those who choose rules.)  It stays
 * until the next boot.  Where no BPF file system is mounted each container has its own.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"
#include "linux/rootless.h"

#define BPF_FS        "/sys/fs/bpf"
#define PIN_DIR       "vessel"
#define BPF_FS_MAGIC_ 0xcafe4a11
#define PROGRAM_NAME  "vessel_devices" /* at most 15 characters */
#define PROGRAMS_MAX  64               /* that a cgroup may have attached: the kernel's limit */
#define NAME_SIZE     200              /* of a file name's 255 */
#define NAMES_MAX     3000             /* longer rule sets are not shared */
#define RULE_INSNS    8

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

static int bpf(int command, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static int load(const struct program *p)
{
	union bpf_attr attr = {0};

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)p->n;
	attr.insns = (uint64_t)(uintptr_t)p->insns;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	(void)str_copy(attr.prog_name, sizeof(attr.prog_name), PROGRAM_NAME);
	return bpf(BPF_PROG_LOAD, &attr);
}

/* -- pinned programs ------------------------------------------------------------------------- */

/* Others may write to the root of a BPF file system; what is pinned is only believed where none but
 * root could have put it. */
static int open_pins(void)
{
	autoclose int root = open(BPF_FS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int fd = -EBADF;
	struct statfs fs;
	struct stat st;

	if (root < 0 || fstatfs(root, &fs) < 0 || (uint32_t)fs.f_type != BPF_FS_MAGIC_)
		return -ENOENT;
	if (mkdirat(root, PIN_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(root, PIN_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != 0 || (st.st_mode & 0077))
		return -EPERM;
	return TAKE_FD(fd);
}

/* "-a+c1:3rwm+c136:*rw", without what a later 'a' decides; cut into directories where it is too long for a
 * name.  In a BPF file system names have no dots. */
static char *pin_name(int pins, const struct cgroup_device_rule *rules, size_t n)
{
	autostrbuf struct strbuf text = STRBUF_INIT(NAMES_MAX), name = STRBUF_INIT(2 * NAMES_MAX);

	for (size_t i = 0; i < n; i++) {
		const struct cgroup_device_rule *r = &rules[i];

		if (r->type == 'a')
			strbuf_reset(&text);
		strbuf_addf(&text, "%c%c", r->allow ? '+' : '-', r->type);
		if (r->type == 'a')
			continue;
		for (unsigned j = 0; j < 2; j++) {
			int64_t number = j == 0 ? r->major : r->minor;

			strbuf_adds(&text, j == 0 ? "" : ":");
			if (number < 0)
				strbuf_addc(&text, '*');
			else
				strbuf_addf(&text, "%" PRId64, number);
		}
		strbuf_addf(&text, "%s%s%s", r->read ? "r" : "", r->write ? "w" : "",
			    r->mknod ? "m" : "");
	}
	if (strbuf_error(&text) < 0)
		return NULL;
	while (text.len > NAME_SIZE) {
		strbuf_addf(&name, "d%.*s", NAME_SIZE, text.s);
		strbuf_drop(&text, NAME_SIZE);
		if (mkdirat(pins, name.s, 0700) < 0 && errno != EEXIST)
			return NULL;
		strbuf_addc(&name, '/');
	}
	strbuf_addf(&name, "p%s", text.s);
	return strbuf_take(&name);
}

static int pin(int command, int pins, const char *name, int prog)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", pins, name);
	union bpf_attr attr = {0};

	attr.pathname = (uint64_t)(uintptr_t)path;
	attr.bpf_fd = command == BPF_OBJ_PIN ? (uint32_t)prog : 0;
	return bpf(command, &attr);
}

static int get_program(const struct cgroup_target *t, const struct program *p)
{
	autoclose int pins = open_pins(), prog = -EBADF;
	autofree char *name = NULL;

	if (pins >= 0)
		name = pin_name(pins, t->res->devices, t->res->device_count);
	if (!name)
		return load(p);
	prog = pin(BPF_OBJ_GET, pins, name, -EBADF);
	if (prog >= 0)
		return TAKE_FD(prog);
	prog = load(p);
	if (prog >= 0)
		(void)pin(BPF_OBJ_PIN, pins, name, prog); /* another was faster: the same program */
	return TAKE_FD(prog);
}

/* -- attaching ------------------------------------------------------------------------------- */

static bool get_info(int prog, struct bpf_prog_info *ret)
{
	union bpf_attr attr = {0};

	*ret = (struct bpf_prog_info){0};
	attr.info.bpf_fd = (uint32_t)prog;
	attr.info.info_len = sizeof(*ret);
	attr.info.info = (uint64_t)(uintptr_t)ret;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) >= 0;
}

/* An fd of the program of ours that is attached already; others' (systemd's) are left alone. */
static int find_attached(int dir, struct bpf_prog_info *ret_info)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr = {0};

	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return -ENOENT;
	for (size_t i = 0; i < attr.query.prog_cnt && i < PROGRAMS_MAX; i++) {
		union bpf_attr by_id = {.prog_id = ids[i]};
		autoclose int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);

		if (fd >= 0 && get_info(fd, ret_info) && strcmp(ret_info->name, PROGRAM_NAME) == 0)
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

static int attach(int dir, int prog)
{
	struct bpf_prog_info old_info, info;
	autoclose int old = find_attached(dir, &old_info);
	union bpf_attr attr = {0};

	if (old >= 0 && get_info(prog, &info) && info.id == old_info.id)
		return 0;
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0);
	attr.replace_bpf_fd = old >= 0 ? (uint32_t)old : 0;
	return bpf(BPF_PROG_ATTACH, &attr);
}

/* Nothing would ever be refused: from the last 'a' on all rules allow. */
static bool allows_all(const struct cgroup_device_rule *rules, size_t n)
{
	while (n-- > 0 && rules[n].allow)
		if (rules[n].type == 'a')
			return true;
	return false;
}

int cgroup_v2_devices(const struct cgroup_target *t, struct error *err)
{
	const struct cgroup_device_rule *rules = t->res->devices;
	size_t n = t->res->device_count;
	autofree struct bpf_insn *insns = xnew0n(struct bpf_insn, 8 + n * RULE_INSNS);
	struct program p = {.insns = insns};
	autoclose int prog = -EBADF, dir = -EBADF;
	struct bpf_prog_info info;
	bool decided = false;
	int r;

	if (n == 0)
		return 0;
	dir = openat(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "devices: open cgroup '%s'",
				 t->cg->path);
	if (allows_all(rules, n)) {
		autoclose int old = find_attached(dir, &info);

		if (old < 0)
			return 0;
	}
	emit_prologue(&p);
	for (size_t i = n; i-- > 0 && !decided;) {
		emit_rule(&p, &rules[i]);
		decided = rules[i].type == 'a'; /* the verifier refuses unreachable code */
	}
	if (!decided)
		emit_verdict(&p, false);
	prog = get_program(t, &p);
	r = prog < 0 ? prog : attach(dir, prog);
	if (r == -EPERM && rootless_is())
		return 0; /* who cannot make nodes either */
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "devices: %s the policy's program",
				 prog < 0 ? "load" : "attach")
		     : 0;
}
