/* The program inside the test containers: one static binary of many words, each in its area's file. */
#pragma once

#include <stdbool.h>

struct json_writer;

/* A command: argv[0] is its own name. */
struct payload_command {
	const char *name;
	int (*run)(int argc, char **argv);
};

/* A part of the report: writes one JSON value. */
struct payload_part {
	const char *name;
	void (*write)(struct json_writer *w);
};

extern const struct payload_command base_commands[];
extern const struct payload_command command_commands[];
extern const struct payload_command attack_commands[];
extern const struct payload_command cgroup_commands[];
extern const struct payload_command enosys_commands[];
extern const struct payload_command mount_commands[];
extern const struct payload_command process_commands[];
extern const struct payload_part base_parts[], process_parts[];

/* The text of a small file (static buffer), or "" and the error's name behind '!'. */
const char *payload_read(const char *path);
