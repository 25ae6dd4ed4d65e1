/* Option strings of mounts: who takes which. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

/* config.md of the runtime-spec, "Linux mount options", and mount(8). */
static const struct mount_option option_table[] = {
	{"ro", OPTION_ATTR, MOUNT_ATTR_RDONLY, 0, false},
	{"rw", OPTION_ATTR, 0, MOUNT_ATTR_RDONLY, false},
	{"nosuid", OPTION_ATTR, MOUNT_ATTR_NOSUID, 0, false},
	{"suid", OPTION_ATTR, 0, MOUNT_ATTR_NOSUID, false},
	{"nodev", OPTION_ATTR, MOUNT_ATTR_NODEV, 0, false},
	{"dev", OPTION_ATTR, 0, MOUNT_ATTR_NODEV, false},
	{"noexec", OPTION_ATTR, MOUNT_ATTR_NOEXEC, 0, false},
	{"exec", OPTION_ATTR, 0, MOUNT_ATTR_NOEXEC, false},
	{"noatime", OPTION_ATTR, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, false},
	{"atime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"relatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"norelatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"strictatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"nostrictatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"nodiratime", OPTION_ATTR, MOUNT_ATTR_NODIRATIME, 0, false},
	{"diratime", OPTION_ATTR, 0, MOUNT_ATTR_NODIRATIME, false},
	{"nosymfollow", OPTION_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0, false},
	{"symfollow", OPTION_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW, false},
	{"rro", OPTION_ATTR, MOUNT_ATTR_RDONLY, 0, true},
	{"rrw", OPTION_ATTR, 0, MOUNT_ATTR_RDONLY, true},
	{"rnosuid", OPTION_ATTR, MOUNT_ATTR_NOSUID, 0, true},
	{"rsuid", OPTION_ATTR, 0, MOUNT_ATTR_NOSUID, true},
	{"rnodev", OPTION_ATTR, MOUNT_ATTR_NODEV, 0, true},
	{"rdev", OPTION_ATTR, 0, MOUNT_ATTR_NODEV, true},
	{"rnoexec", OPTION_ATTR, MOUNT_ATTR_NOEXEC, 0, true},
	{"rexec", OPTION_ATTR, 0, MOUNT_ATTR_NOEXEC, true},
	{"rnoatime", OPTION_ATTR, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, true},
	{"ratime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rrelatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rnorelatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, true},
	{"rstrictatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, true},
	{"rnostrictatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rnodiratime", OPTION_ATTR, MOUNT_ATTR_NODIRATIME, 0, true},
	{"rdiratime", OPTION_ATTR, 0, MOUNT_ATTR_NODIRATIME, true},
	{"rnosymfollow", OPTION_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0, true},
	{"rsymfollow", OPTION_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW, true},
	{"private", OPTION_PROPAGATION, MS_PRIVATE, 0, false},
	{"slave", OPTION_PROPAGATION, MS_SLAVE, 0, false},
	{"shared", OPTION_PROPAGATION, MS_SHARED, 0, false},
	{"unbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0, false},
	{"rprivate", OPTION_PROPAGATION, MS_PRIVATE, 0, true},
	{"rslave", OPTION_PROPAGATION, MS_SLAVE, 0, true},
	{"rshared", OPTION_PROPAGATION, MS_SHARED, 0, true},
	{"runbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0, true},
	{"bind", OPTION_BIND, 0, 0, false},
	{"rbind", OPTION_BIND, 0, 0, true},
	{"idmap", OPTION_IDMAP, 0, 0, false},
	{"ridmap", OPTION_IDMAP, 0, 0, true},
	{"remount", OPTION_REMOUNT, 0, 0, false},
	{"tmpcopyup", OPTION_COPY_UP, 0, 0, false},
	{"sync", OPTION_SUPER, MS_SYNCHRONOUS, 0, false},
	{"async", OPTION_SUPER, 0, MS_SYNCHRONOUS, false},
	{"dirsync", OPTION_SUPER, MS_DIRSYNC, 0, false},
	{"lazytime", OPTION_SUPER, MS_LAZYTIME, 0, false},
	{"nolazytime", OPTION_SUPER, 0, MS_LAZYTIME, false},
	{"mand", OPTION_SUPER, MS_MANDLOCK, 0, false},
	{"nomand", OPTION_SUPER, 0, MS_MANDLOCK, false},
	{"iversion", OPTION_SUPER_SOFT, MS_I_VERSION, 0, false},
	{"noiversion", OPTION_SUPER_SOFT, 0, MS_I_VERSION, false},
	{"acl", OPTION_SUPER_SOFT, MS_POSIXACL, 0, false},
	{"noacl", OPTION_SUPER_SOFT, 0, MS_POSIXACL, false},
	{"defaults", OPTION_IGNORED, 0, 0, false},
	{"loud", OPTION_IGNORED, 0, 0, false},
	{"silent", OPTION_IGNORED, 0, 0, false},
};

const struct mount_option *mount_option_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		if (strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	return NULL;
}

const char *mount_option_name(size_t i)
{
	return i < ARRAY_SIZE(option_table) ? option_table[i].name : NULL;
}

bool mount_propagation_parse(const char *name, uint64_t *ret, bool *ret_recursive)
{
	const struct mount_option *o = name ? mount_option_find(name) : NULL;

	if (!o || o->kind != OPTION_PROPAGATION)
		return false;
	*ret = o->set;
	*ret_recursive = o->recursive;
	return true;
}

/* A later option beats an earlier one. */
static void option_set(const struct mount_option *o, uint64_t *set, uint64_t *clear)
{
	*set = (*set & ~o->clear) | o->set;
	*clear = (*clear & ~(o->set & ~(uint64_t)MOUNT_ATTR__ATIME)) | o->clear;
}

static void parse_propagation(const struct mount_option *o, struct mount_options *p)
{
	p->slave_first = o->set == MS_SHARED && p->propagation == MS_SLAVE;
	p->slave_first_recursive = p->slave_first && p->propagation_recursive;
	p->propagation = o->set;
	p->propagation_recursive = o->recursive;
}

static void parse_known(const struct mount_option *o, size_t i, struct mount_options *p)
{
	switch (o->kind) {
	case OPTION_ATTR:
		if (o->recursive)
			option_set(o, &p->rec_attr_set, &p->rec_attr_clr);
		else
			option_set(o, &p->attr_set, &p->attr_clr);
		break;
	case OPTION_PROPAGATION:
		parse_propagation(o, p);
		break;
	case OPTION_BIND:
		p->bind = true;
		p->bind_recursive = o->recursive;
		break;
	case OPTION_REMOUNT:
		p->remount = true;
		break;
	case OPTION_COPY_UP:
		p->copy_up = true;
		break;
	case OPTION_IDMAP:
		p->idmap = true;
		p->idmap_recursive = o->recursive;
		break;
	case OPTION_SUPER:
	case OPTION_SUPER_SOFT:
		p->super_flags = (p->super_flags & ~(unsigned long)o->clear) | o->set;
		p->super_clr = (p->super_clr & ~(unsigned long)o->set) | o->clear;
		if (o->set) /* what clears a flag says what a new file system is anyway */
			p->file_system[i / 64] |= (uint64_t)1 << i % 64;
		break;
	case OPTION_IGNORED:
		break;
	}
}

int mount_options_parse(const char *const *options, size_t count, struct mount_options *ret,
			struct error *err)
{
	struct mount_options parsed = {.all = options, .count = count};

	if (count > MOUNT_OPTIONS_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "mount options");
	for (size_t i = 0; i < count; i++) {
		const struct mount_option *o = mount_option_find(options[i]);

		if (o)
			parse_known(o, i, &parsed);
		else if (options[i][0])
			parsed.file_system[i / 64] |= (uint64_t)1 << i % 64;
	}
	*ret = parsed;
	return 0;
}

static bool option_is_fs(const struct mount_options *options, size_t i)
{
	return options->file_system[i / 64] & (uint64_t)1 << i % 64;
}

bool mount_options_has_fs(const struct mount_options *options)
{
	for (size_t i = 0; i < ARRAY_SIZE(options->file_system); i++)
		if (options->file_system[i])
			return true;
	return false;
}

uint64_t mount_options_attributes(const struct mount_options *options)
{
	return (options->attr_set & ~options->rec_attr_clr) | options->rec_attr_set;
}

/* Up to the next comma that is neither quoted nor escaped. */
static size_t option_length(const char *s)
{
	bool quoted = false;
	size_t i = 0;

	for (; s[i] && (quoted || s[i] != ','); i++) {
		if (s[i] == '"')
			quoted = !quoted;
		else if (s[i] == '\\' && s[i + 1])
			i++;
	}
	return i;
}

int mount_options_each(const struct mount_options *options, mount_option_fn fn, void *data,
		       struct error *err)
{
	for (size_t i = 0; i < options->count; i++) {
		const char *p = options->all[i];

		while (option_is_fs(options, i) && *p) {
			size_t n = option_length(p);
			autofree char *one = xstrndup(p, n);
			int r = n > 0 ? fn(data, one, err) : 0;

			if (r < 0)
				return r;
			p += n + (p[n] == ',');
		}
	}
	return 0;
}

struct search {
	const char *prefix;
	bool found;
};

static int match_prefix(void *data, const char *option, struct error *err)
{
	struct search *search = data;

	(void)err;
	search->found = search->found || str_has_prefix(option, search->prefix);
	return 0;
}

bool mount_options_has_fs_option(const struct mount_options *options, const char *prefix)
{
	struct search search = {.prefix = prefix};

	(void)mount_options_each(options, match_prefix, &search, NULL); /* does not fail */
	return search.found;
}

static int is_long(void *data, const char *option, struct error *err)
{
	const char *value = strchr(option, '=');
	bool *found = data;

	(void)err;
	*found = *found || (value && strlen(value + 1) > FSCONFIG_STRING_MAX);
	return 0;
}

bool mount_options_need_stage(const struct mount_options *options)
{
	bool found = false;

	(void)mount_options_each(options, is_long, &found, NULL); /* is_long() does not fail */
	return found;
}
