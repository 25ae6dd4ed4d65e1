/* engine/names.h - names of containers: which are valid, and made-up ones. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define NAME_MAX_SIZE 64 /* of a made-up name, with NUL */

/* Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+.  ERROR_INVALID with Docker's text. */
int name_check(const char *name, struct error *err);
/* "adjective_surname"; with retry > 0 a digit is appended. */
void name_make(unsigned retry, char ret[static NAME_MAX_SIZE]);
