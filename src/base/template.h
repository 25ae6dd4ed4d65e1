/* base/template.h - Go's text/template over JSON, as far as --format needs it.
 *
 * Fields and chains, variables, pipelines, parentheses, if / else if / else, range (with else and with
 * "$i, $v :="), with, trim markers, comments, and the functions and, or, not, eq, ne, lt, le, gt, ge,
 * index, len, print, printf, println, json, join, split, lower, upper, title, pad, truncate.
 * Values print as Go prints them: [a b], map[k:v], <no value>.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

struct template; /* lives in the arena it was parsed into */

/* ERROR_INVALID: "template parsing error: template: :LINE: ...". */
int template_parse(struct arena *a, const char *text, const struct template **ret,
		   struct error *err);
/* Append the result for `dot`.  A field that an object lacks is an error, as with Docker's inspect. */
int template_execute(const struct template *t, const struct json *dot, struct strbuf *out,
		     struct error *err);
