/* cli/csv.h - one record of comma-separated values as Go's encoding/csv reads it, which Docker's compound
 * flags are written in: a field in double quotes may hold commas, and "" for a quote.  RFC 4180. */
#pragma once

#include "base/error.h"
#include "base/str.h"

/* Appends the fields.  ERROR_INVALID in Go's words: 'parse error on line 1, column 3: bare " in
 * non-quoted-field'; "EOF" of nothing. */
int csv_split(const char *s, struct strv *ret, struct error *err);
