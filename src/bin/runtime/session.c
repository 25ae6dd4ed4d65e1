/* What checkpoint and restore have in common. */
#include "bin/runtime/session.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "linux/rootless.h"

#define LOG_MAX           ((size_t)64 << 20)
#define LOG_LEVEL         4
#define CONFIG_ANNOTATION "org.criu.config"
#define DEFAULT_CONFIG    "/etc/criu/runc.conf" /* runc's: its users have one */
#define DEFAULT_IMAGES    "checkpoint"

static int open_directory(const char *path, int *ret, struct error *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INVALID, errno, "create '%s'", path);
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? error_set(err, ERROR_INVALID, errno, "open '%s'", path) : 0;
}

static int set_cgroups_mode(struct session *s, struct error *err)
{
	static const struct {
		const char *name;
		int mode; /* criu_cg_mode */
	} modes[] = {{"ignore", 0}, {"soft", 3}, {"full", 4}, {"strict", 5}};
	const char *name = s->o->value[OPT_MANAGE_CGROUPS_MODE];

	criu_add_int(&s->opts, CRIU_MANAGE_CGROUPS, 1); /* for old ones */
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(str_empty(name) ? "soft" : name, modes[i].name) == 0) {
			criu_add_int(&s->opts, CRIU_MANAGE_CGROUPS_MODE, modes[i].mode);
			return 0;
		}
	return error_set(err, ERROR_INVALID, 0, "Invalid manage-cgroups-mode value");
}

static int check_empty_ns(const struct options *o, struct error *err)
{
	const char *name;
	size_t pos = 0;

	while ((name = options_next(o, OPT_EMPTY_NS, &pos)))
		if (strcmp(name, "network") != 0)
			return error_set(err, ERROR_INVALID, 0, "namespace \"%s\" is not supported",
					 name);
	return 0;
}

static void set_config_file(struct session *s)
{
	const struct json_string_map *map = &s->spec->annotations;
	const char *file = DEFAULT_CONFIG; /* criu overlooks one that is not there */

	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i], CONFIG_ANNOTATION) == 0)
			file = map->values[i];
	if (file[0])
		criu_add_string(&s->opts, CRIU_CONFIG_FILE, file);
}

static void set_flags(struct session *s)
{
	static const struct {
		enum option_id option;
		enum criu_field field;
	} flags[] = {
		{OPT_TCP_ESTABLISHED, CRIU_TCP_ESTABLISHED},
		{OPT_EXT_UNIX_SK, CRIU_EXT_UNIX_SK},
		{OPT_SHELL_JOB, CRIU_SHELL_JOB},
		{OPT_FILE_LOCKS, CRIU_FILE_LOCKS},
		{OPT_AUTO_DEDUP, CRIU_AUTO_DEDUP},
		{OPT_LAZY_PAGES, CRIU_LAZY_PAGES},
		{OPT_LEAVE_RUNNING, CRIU_LEAVE_RUNNING},
		{OPT_LINK_REMAP, CRIU_LINK_REMAP},
		{OPT_TCP_SKIP_IN_FLIGHT, CRIU_TCP_SKIP_IN_FLIGHT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (options_has(s->o, flags[i].option))
			criu_add_int(&s->opts, flags[i].field, 1);
}

int session_begin(struct session *s, const char *log_file, struct error *err)
{
	int r = check_empty_ns(s->o, err);

	if (rootless_is())
		log_warn("checkpoint and restore are untested with rootless containers");
	s->images = s->o->value[OPT_IMAGE_PATH] ? s->o->value[OPT_IMAGE_PATH] : DEFAULT_IMAGES;
	s->work = s->o->value[OPT_WORK_PATH];
	if (r == 0)
		r = open_directory(s->images, &s->images_fd, err);
	if (r == 0 && s->work)
		r = open_directory(s->work, &s->work_fd, err);
	if (r < 0)
		return r;
	/* criu opens these by /proc/PID/fd of ours */
	criu_add_int(&s->opts, CRIU_IMAGES_DIR_FD, s->images_fd);
	if (s->work)
		criu_add_int(&s->opts, CRIU_WORK_DIR_FD, s->work_fd);
	criu_add_int(&s->opts, CRIU_LOG_LEVEL, LOG_LEVEL);
	criu_add_string(&s->opts, CRIU_LOG_FILE, log_file);
	criu_add_int(&s->opts, CRIU_NOTIFY_SCRIPTS, 1);
	criu_add_int(&s->opts, CRIU_ORPHAN_PTS_MASTER, 1);
	/* Networks are others' to configure, when it is restored too. */
	criu_add_int(&s->opts, CRIU_EMPTY_NS, CLONE_NEWNET);
	set_flags(s);
	set_config_file(s);
	return set_cgroups_mode(s, err);
}

/* What criu has to say is in its log. */
static void quote_log(const struct session *s, const char *log_file)
{
	autofree char *text = NULL;
	const char *dir = s->work ? s->work : s->images;
	char *rest, *line;

	if (file_read(s->work ? s->work_fd : s->images_fd, log_file, LOG_MAX, &text, NULL, NULL) <
	    0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (strstr(line, "Error"))
			log_warn("%s/%s: %s", dir, log_file, line);
}

int session_call(struct session *s, enum criu_request request, const char *log_file, pid_t *ret_pid,
		 struct error *err)
{
	int r = criu_call(&s->criu, request, &s->opts, ret_pid, err);

	if (r == 0)
		return 0;
	quote_log(s, log_file);
	return error_wrap(err, r, "see '%s/%s'", s->work ? s->work : s->images, log_file);
}

void session_done(struct session *s)
{
	criu_stop(&s->criu);
	fd_close(&s->images_fd);
	fd_close(&s->work_fd);
	fd_close(&s->console_fd);
	strbuf_done(&s->opts);
}
