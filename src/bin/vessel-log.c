/* vessel-log: started by a shim for log drivers that speak to somebody else ("run", shim/logpipe.h),
 * and to compress a rotated log ("compress": standard input to standard output).
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "linux/confine.h"
#include "logger/logger.h"
#include "shim/logpipe.h"

static int run(bool again)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct logger_config config;
	struct stat st;
	char *text;

	for (int fd = LOGPIPE_CONFIG_FD; fd <= LOGPIPE_INPUT_FD; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			log_error("a shim starts this program");
			return 2;
		}
	if (!again && fcntl(LOGPIPE_STATUS_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 2;
	/* Others have read it before: each reads from the beginning. */
	if (fstat(LOGPIPE_CONFIG_FD, &st) < 0)
		return 2;
	text = arena_alloc(a, (size_t)st.st_size + 1);
	if (pread(LOGPIPE_CONFIG_FD, text, (size_t)st.st_size, 0) != st.st_size ||
	    logger_config_parse(a, text, (size_t)st.st_size, &config, &err) < 0) {
		log_error("%s", error_msg(&err));
		return 2;
	}
	return logger_run(&config, LOGPIPE_INPUT_FD, again ? -1 : LOGPIPE_STATUS_FD);
}

int main(int argc, char **argv)
{
	autoerror struct error err = {0};

	log_set_name("vessel-log");
	(void)prctl(PR_SET_NAME, "vessel-log", 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "compress") == 0) {
		if (confine_user(&err) >= 0 && confine_calls(0, &err) >= 0 &&
		    confine_files(NULL, 0, &err) >= 0 &&
		    logger_compress(STDIN_FILENO, STDOUT_FILENO, &err) >= 0)
			return 0;
		log_error("%s", error_msg(&err));
		return 1;
	}
	if (argc >= 2 && strcmp(argv[1], "run") == 0)
		return run(argc > 2 && strcmp(argv[2], "again") == 0);
	log_error("usage: vessel-log run|compress");
	return 2;
}
