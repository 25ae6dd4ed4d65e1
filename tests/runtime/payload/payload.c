/* payload WORD [ARG...]: `report [PART...]` prints what the process sees of itself, as JSON. */
#include "payload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#define REPORT_MAX (1U << 20)

static const struct payload_command *const commands[] = {
	attack_commands, base_commands,  cgroup_commands,  command_commands,
	enosys_commands, mount_commands, process_commands,
};
static const struct payload_part *const parts[] = {base_parts, process_parts};

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

static int report(int argc, char **argv)
{
	struct strbuf out = STRBUF_INIT(REPORT_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_object(&w);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (const struct payload_part *p = parts[i]; p->name; p++)
			if (wanted(p->name, argc, argv)) {
				jw_key(&w, p->name);
				p->write(&w);
			}
	jw_object_end(&w);
	strbuf_addc(&out, '\n');
	return fd_write_full(STDOUT_FILENO, out.s, out.len) < 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "report") == 0)
		return report(argc - 1, argv + 1);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		for (const struct payload_command *c = commands[i]; c->name; c++)
			if (strcmp(c->name, argv[1]) == 0)
				return c->run(argc - 1, argv + 1);
	(void)fprintf(stderr, "payload: no such word: %s\n", argc > 1 ? argv[1] : "");
	return 99;
}
