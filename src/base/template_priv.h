/* base/template_priv.h - what the template's parser, its executor and its functions share. */
#pragma once

#include <stdbool.h>

#include "base/template.h"

enum value_kind { VALUE_JSON, VALUE_STRING, VALUE_INT, VALUE_BOOL, VALUE_LIST };

/* What an expression evaluates to.  VALUE_JSON with a NULL json is nil. */
struct value {
	enum value_kind kind;
	const struct json *json;
	const char *string; /* VALUE_STRING, NUL-terminated, in the execution's arena */
	int64_t integer;    /* VALUE_INT, VALUE_BOOL */
	const char **list;  /* VALUE_LIST: what `split` makes */
	size_t count;
};

struct call {
	struct arena *arena;
	const char *name;
	const struct value *args;
	size_t count;
	struct error *err;
};
typedef int (*template_fn)(const struct call *c, struct value *ret);

template_fn template_function(const char *name); /* NULL: no such function */
bool value_is_true(const struct value *v);       /* Go's truth: not zero, not empty */
void value_print(const struct value *v, struct strbuf *out);
/* An element of an array or a member of an object; nil when it is out of range or absent. */
struct value value_of_json(const struct json *j);
