/* Signal names: one table, and the real-time range by arithmetic. */
#include "linux/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

/* The numbers of the kernel's real-time range as programs see it: libc keeps the first ones
 * (NPTL: 32, 33; musl 32..34), and 34 is what SIGRTMIN means to everybody. */
#define RT_MIN 34
#define RT_MAX 64

#define SIGNAL(name)                   \
	{                              \
		"SIG" #name, SIG##name \
	}
static const struct {
	const char *name;
	int signo;
} names[] = {
	SIGNAL(HUP),
	SIGNAL(INT),
	SIGNAL(QUIT),
	SIGNAL(ILL),
	SIGNAL(TRAP),
	SIGNAL(ABRT),
	SIGNAL(BUS),
	SIGNAL(FPE),
	SIGNAL(KILL),
	SIGNAL(USR1),
	SIGNAL(SEGV),
	SIGNAL(USR2),
	SIGNAL(PIPE),
	SIGNAL(ALRM),
	SIGNAL(TERM),
	SIGNAL(STKFLT),
	SIGNAL(CHLD),
	SIGNAL(CONT),
	SIGNAL(STOP),
	SIGNAL(TSTP),
	SIGNAL(TTIN),
	SIGNAL(TTOU),
	SIGNAL(URG),
	SIGNAL(XCPU),
	SIGNAL(XFSZ),
	SIGNAL(PROF),
	SIGNAL(VTALRM),
	SIGNAL(WINCH),
	SIGNAL(IO),
	SIGNAL(PWR),
	SIGNAL(SYS),
	/* aliases, behind the names that signal_name() prefers */
	{"SIGIOT", SIGABRT},
	{"SIGCLD", SIGCHLD},
	{"SIGPOLL", SIGIO},
};

static int parse_realtime(const char *s)
{
	int base, sign, n = 0;

	if (strncasecmp(s, "RTMIN", 5) == 0)
		base = RT_MIN, sign = 1;
	else if (strncasecmp(s, "RTMAX", 5) == 0)
		base = RT_MAX, sign = -1;
	else
		return -EINVAL;
	s += 5;
	if (*s != '\0') {
		if (*s != (sign > 0 ? '+' : '-') || str_parse_int(s + 1, &n) < 0 || n < 0 ||
		    n > RT_MAX - RT_MIN)
			return -EINVAL;
	}
	return base + sign * n;
}

int signal_parse(const char *s)
{
	int n;

	if (str_parse_int(s, &n) == 0)
		return n >= 1 && n <= RT_MAX ? n : -EINVAL;
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(s, names[i].name + 3) == 0)
			return names[i].signo;
	return parse_realtime(s);
}

const char *signal_name(int signo)
{
	static char realtime[RT_MAX - RT_MIN + 1][sizeof("SIGRTMIN+30")];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].signo == signo)
			return names[i].name;
	if (signo < RT_MIN || signo > RT_MAX)
		return NULL;
	if (signo == RT_MIN)
		return "SIGRTMIN";
	/* The same text for the same index: writing it twice is harmless. */
	(void)snprintf(realtime[signo - RT_MIN], sizeof(realtime[0]), "SIGRTMIN+%d",
		       (signo - RT_MIN) & 31);
	return realtime[signo - RT_MIN];
}
