/* api/log_line.h - what log_reader.c asks of a line of a json-file log, besides log_entry_parse. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is the text of this line the end of a line of output? */
bool log_line_ends(const char *line, size_t len);
