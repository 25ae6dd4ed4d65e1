/* Log drivers json-file and local with mode=non-blocking: the disk is waited for here, not in the shim. */
#include <string.h>
#include <sys/wait.h>

#include "logger/logger.h"
#include "shim/logfile.h"
#include "shim/protocol.h"

struct file {
	struct logfile *log; /* owned */
};

static void file_free(void *data)
{
	struct file *f = data;

	f->log = logfile_free(f->log);
	free(f);
}

static int file_open(struct logger *l, void **ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct shim_log log;
	struct file *f;
	int r = shim_log_parse(a, l->config->file, &log, err);

	if (r < 0)
		return r;
	f = xnew0(struct file);
	r = logfile_open(&log, &f->log, err);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

static int file_write(void *data, const struct logentry *e, struct error *err)
{
	struct file *f = data;

	(void)err;
	logfile_add(f->log, e);
	return 0;
}

static int file_flush(void *data, struct error *err)
{
	struct file *f = data;
	siginfo_t si = {0};

	(void)err;
	logfile_flush(f->log);
	/* What compresses. */
	while (waitid(P_ALL, 0, &si, WEXITED | WNOHANG) == 0 && si.si_pid > 0) {
		(void)logfile_reaped(f->log, si.si_pid, si.si_status);
		si = (siginfo_t){0};
	}
	return 0;
}

const struct log_driver file_driver = {
	.name = "json-file", /* and local */
	.open = file_open,
	.write = file_write,
	.flush = file_flush,
	.free = file_free,
	.writes_files = true,
};
