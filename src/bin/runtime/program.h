/* bin/runtime/program.h - programs of the host that some commands run: ps, criu. */
#pragma once

/* Where `name` is, by PATH unless it has a slash; malloc'd, NULL if it is nowhere. */
char *program_find(const char *name);
