/* Challenges: a list of schemes with parameters, both separated by commas, so that only what follows a word
 * tells which of the two it is. */
#include "registry/challenge.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

struct cursor {
	struct arena *a;
	const char *p;
};

static bool is_token(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

/* token68, without its '=' padding */
static bool is_token68(char c)
{
	return is_token(c) || c == '/';
}

static void skip(struct cursor *c, const char *set)
{
	c->p += strspn(c->p, set);
}

static char *take_lower(struct cursor *c, size_t len)
{
	char *s = arena_strndup(c->a, c->p, len);

	for (char *q = s; *q; q++)
		if (*q >= 'A' && *q <= 'Z')
			*q = (char)(*q - 'A' + 'a');
	c->p += len;
	return s;
}

static size_t token_length(const char *p)
{
	size_t n = 0;

	while (p[n] && is_token(p[n]))
		n++;
	return n;
}

/* NULL if the quotes are not closed. */
static const char *take_quoted(struct cursor *c)
{
	char *out = arena_alloc(c->a, strlen(c->p) + 1);
	size_t n = 0;

	for (c->p++; *c->p && *c->p != '"'; c->p++) {
		if (*c->p == '\\' && c->p[1])
			c->p++;
		out[n++] = *c->p;
	}
	if (*c->p != '"')
		return NULL;
	c->p++;
	return out;
}

static const char *take_value(struct cursor *c)
{
	const char *value;
	size_t len;

	if (*c->p == '"')
		return take_quoted(c);
	len = strcspn(c->p, ", \t");
	value = arena_strndup(c->a, c->p, len);
	c->p += len;
	return value;
}

/* Is there NAME "=" here? */
static bool at_param(const char *p)
{
	size_t n = token_length(p);

	p += n;
	p += strspn(p, " \t");
	if (n == 0 || *p != '=')
		return false;
	p += 1 + strspn(p + 1, " \t");
	return *p != '\0' && *p != ',' && *p != '='; /* else padding of a token68 */
}

static int bad(const char *header, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "malformed WWW-Authenticate header '%.200s'",
			 header);
}

static int parse_params(struct cursor *c, struct challenge *one, const char *header,
			struct error *err)
{
	for (;;) {
		const char *before;

		skip(c, " \t");
		before = c->p;
		skip(c, " \t,");
		if (!at_param(c->p)) {
			c->p = before;
			return 0;
		}
		if (one->n_params == CHALLENGE_PARAMS_MAX)
			return bad(header, err);
		one->params[one->n_params].name = take_lower(c, token_length(c->p));
		skip(c, " \t");
		c->p++; /* = */
		skip(c, " \t");
		one->params[one->n_params].value = take_value(c);
		if (!one->params[one->n_params].value)
			return bad(header, err);
		one->n_params++;
		skip(c, " \t");
		if (*c->p && *c->p != ',')
			return bad(header, err);
	}
}

static int parse_one(struct cursor *c, struct challenge *one, const char *header, struct error *err)
{
	size_t len = token_length(c->p);
	int r;

	*one = (struct challenge){0};
	if (len == 0 || (c->p[len] && !strchr(" \t,", c->p[len])))
		return bad(header, err);
	one->scheme = take_lower(c, len);
	r = parse_params(c, one, header, err);
	if (r < 0 || one->n_params > 0)
		return r;
	while (*c->p && is_token68(*c->p)) /* what "Negotiate" and others bring */
		c->p++;
	skip(c, "=");
	skip(c, " \t");
	return *c->p && *c->p != ',' ? bad(header, err) : 0;
}

int challenges_parse(struct arena *a, const char *header, struct challenges *ret, struct error *err)
{
	struct cursor c = {.a = a, .p = header};
	struct challenges all = *ret;

	if (strlen(header) > CHALLENGE_HEADER_MAX)
		return bad(header, err);
	for (;;) {
		int r;

		skip(&c, " \t,");
		if (!*c.p)
			break;
		if (all.n == CHALLENGE_MAX)
			return bad(header, err);
		r = parse_one(&c, &all.v[all.n], header, err);
		if (r < 0)
			return r;
		all.n++;
	}
	*ret = all;
	return 0;
}

const struct challenge *challenges_find(const struct challenges *c, const char *scheme)
{
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->v[i].scheme, scheme))
			return &c->v[i];
	return NULL;
}

const char *challenge_get(const struct challenge *c, const char *name)
{
	for (size_t i = 0; i < c->n_params; i++)
		if (str_eq(c->params[i].name, name))
			return c->params[i].value;
	return NULL;
}
