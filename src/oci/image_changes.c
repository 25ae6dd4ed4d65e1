/* Dockerfile instructions that change an image's config.
 *
 * A change is split into logical lines (a backslash at the end continues one); each is an instruction's
 * name and its arguments.  Arguments are either a JSON array of strings or words, in which $VARIABLES
 * are replaced from the config's own environment.
 */
#include "oci/image_changes.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define MAX_PORT_RANGE 65536

struct changer {
	struct arena *a;             /* borrowed */
	struct image_config *config; /* borrowed */
	bool cmd_set;                /* CMD came in these changes: ENTRYPOINT keeps it */
};

/* ---- lists ---- */

static void strings_add(struct arena *a, struct json_strings *s, const char *v)
{
	const char **copy = arena_new0n(a, const char *, s->n + 2);

	for (size_t i = 0; i < s->n; i++)
		copy[i] = s->v[i];
	copy[s->n] = v;
	s->v = copy;
	s->n++;
}

static bool strings_has(const struct json_strings *s, const char *v)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i], v))
			return true;
	return false;
}

static void env_set(struct changer *c, const char *key, const char *value)
{
	struct json_strings *env = &c->config->env;
	size_t len = strlen(key);
	const char *pair = arena_printf(c->a, "%s=%s", key, value);

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, len) == 0 && env->v[i][len] == '=') {
			const char **copy =
				arena_memdup(c->a, env->v, (env->n + 1) * sizeof(*env->v));

			copy[i] = pair;
			env->v = copy;
			return;
		}
	strings_add(c->a, env, pair);
}

static const char *env_get(const struct changer *c, const char *key, size_t len)
{
	const struct json_strings *env = &c->config->env;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], key, len) == 0 && env->v[i][len] == '=')
			return env->v[i] + len + 1;
	return NULL;
}

static void label_set(struct changer *c, const char *key, const char *value)
{
	struct json_string_map *m = &c->config->labels;
	struct json_string_map copy = {.keys = arena_new0n(c->a, const char *, m->n + 1),
				       .values = arena_new0n(c->a, const char *, m->n + 1)};
	bool found = false;

	for (; copy.n < m->n; copy.n++) {
		bool same = str_eq(m->keys[copy.n], key);

		copy.keys[copy.n] = m->keys[copy.n];
		copy.values[copy.n] = same ? value : m->values[copy.n];
		found |= same;
	}
	if (!found) {
		copy.keys[copy.n] = key;
		copy.values[copy.n++] = value;
	}
	*m = copy;
}

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static int expand(struct changer *c, const char **pp, struct strbuf *out, struct error *err);

/* ${NAME}, ${NAME:-word}, ${NAME:+word}; *pp is behind "${". */
static int expand_braces(struct changer *c, const char **pp, struct strbuf *out, struct error *err)
{
	autostrbuf struct strbuf word = STRBUF_INIT(IMAGE_CHANGES_MAX);
	const char *p = *pp, *name = p, *value;
	char op = '\0';
	size_t len;

	while (is_name(*p))
		p++;
	len = (size_t)(p - name);
	if (p[0] == ':' && (p[1] == '-' || p[1] == '+')) {
		op = p[1];
		p += 2;
		while (*p && *p != '}') {
			int r;

			if (*p != '$') {
				strbuf_addc(&word, *p++);
				continue;
			}
			r = expand(c, &p, &word, err);
			if (r < 0)
				return r;
		}
	}
	if (*p != '}' || len == 0)
		return error_set(err, ERROR_INVALID, 0, "unsupported modifier in substitution");
	*pp = p + 1;
	value = env_get(c, name, len);
	if (op == '-' && (!value || !value[0]))
		value = word.s;
	if (op == '+')
		value = value && value[0] ? word.s : NULL;
	strbuf_adds(out, value ? value : "");
	return 0;
}

/* *pp is at '$'. */
static int expand(struct changer *c, const char **pp, struct strbuf *out, struct error *err)
{
	const char *p = *pp + 1, *name = p, *value;

	if (*p == '{') {
		*pp = p + 1;
		return expand_braces(c, pp, out, err);
	}
	while (is_name(*p))
		p++;
	if (p == name) {
		strbuf_addc(out, '$');
	} else {
		value = env_get(c, name, (size_t)(p - name));
		strbuf_adds(out, value ? value : "");
	}
	*pp = p;
	return 0;
}

/* One word up to an unquoted blank, quotes removed; whole: blanks belong to it. */
static int read_word(struct changer *c, const char **pp, bool whole, struct strbuf *out,
		     struct error *err)
{
	const char *p = *pp;
	char quote = '\0';

	for (; *p && (quote || whole || !is_blank(*p));) {
		if (quote != '\'' && *p == '$') {
			int r = expand(c, &p, out, err);

			if (r < 0)
				return r;
		} else if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? '\0' : *p;
			p++;
		} else if (*p == '\\' && quote != '\'' && p[1]) {
			/* Inside double quotes a backslash escapes only what would mean something. */
			if (quote == '"' && p[1] != '"' && p[1] != '$' && p[1] != '\\')
				strbuf_addc(out, '\\');
			strbuf_addc(out, p[1]);
			p += 2;
		} else {
			strbuf_addc(out, *p++);
		}
	}
	if (quote)
		return error_set(err, ERROR_INVALID, 0,
				 "unexpected end of statement while looking for matching %s-quote",
				 quote == '"' ? "double" : "single");
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, 0, "the changes are too long");
	*pp = p;
	return 0;
}

/* The whole argument as one word. */
static int one_word(struct changer *c, const char *args, const char **ret, struct error *err)
{
	autostrbuf struct strbuf word = STRBUF_INIT(IMAGE_CHANGES_MAX);
	int r = read_word(c, &args, true, &word, err);

	if (r >= 0)
		*ret = arena_strdup(c->a, word.s);
	return r;
}

static int all_words(struct changer *c, const char *args, struct json_strings *ret,
		     struct error *err)
{
	for (args = skip_blanks(args); *args; args = skip_blanks(args)) {
		autostrbuf struct strbuf word = STRBUF_INIT(IMAGE_CHANGES_MAX);
		int r = read_word(c, &args, false, &word, err);

		if (r < 0)
			return r;
		strings_add(c->a, ret, arena_strdup(c->a, word.s));
	}
	return 0;
}

/* The JSON form: true if it is an array of strings.  Anything else is the shell form. */
static bool json_form(struct changer *c, const char *args, struct json_strings *ret)
{
	autoerror struct error ignored = {0};
	const struct json *v = NULL;

	if (args[0] != '[' || json_parse(c->a, args, strlen(args), &v, &ignored) < 0)
		return false;
	ret->v = arena_new0n(c->a, const char *, json_count(v) + 1);
	ret->n = 0;
	for (size_t i = 0; i < json_count(v); i++) {
		const char *s = json_string(json_at(v, i));

		if (!s)
			return false;
		ret->v[ret->n++] = s;
	}
	return true;
}

/* ---- instructions ---- */

static void command(struct changer *c, const char *args, struct json_strings *ret)
{
	struct json_strings out = {0}, shell = c->config->shell;

	if (json_form(c, args, ret))
		return;
	if (shell.n == 0) {
		strings_add(c->a, &out, "/bin/sh");
		strings_add(c->a, &out, "-c");
	}
	for (size_t i = 0; i < shell.n; i++)
		strings_add(c->a, &out, shell.v[i]);
	strings_add(c->a, &out, args);
	*ret = out;
}

static int change_cmd(struct changer *c, const char *args, struct error *err)
{
	(void)err;
	command(c, args, &c->config->cmd);
	c->cmd_set = true;
	return 0;
}

static int change_entrypoint(struct changer *c, const char *args, struct error *err)
{
	(void)err;
	command(c, args, &c->config->entrypoint);
	if (!c->cmd_set) /* a command for another entry point means nothing */
		c->config->cmd = (struct json_strings){0};
	return 0;
}

typedef void (*pair_fn)(struct changer *c, const char *key, const char *value);

/* "k=v k2=v2", or the old "k the rest". */
static int change_pairs(struct changer *c, const char *args, const char *name, pair_fn set,
			struct error *err)
{
	size_t first = strcspn(args, " \t=");
	struct json_strings words = {0};
	const char *value;
	int r;

	if (args[first] != '=') {
		if (!args[first])
			return error_set(err, ERROR_INVALID, 0, "%s must have two arguments", name);
		r = one_word(c, skip_blanks(args + first), &value, err);
		if (r >= 0)
			set(c, arena_strndup(c->a, args, first), value);
		return r;
	}
	r = all_words(c, args, &words, err);
	for (size_t i = 0; i < words.n && r >= 0; i++) {
		const char *eq = strchr(words.v[i], '=');

		if (!eq)
			return error_set(err, ERROR_INVALID, 0,
					 "Syntax error - can't find = in \"%s\". Must be of the "
					 "form: name=value",
					 words.v[i]);
		if (eq == words.v[i])
			return error_set(err, ERROR_INVALID, 0, "%s names can not be blank", name);
		set(c, arena_strndup(c->a, words.v[i], (size_t)(eq - words.v[i])), eq + 1);
	}
	return r;
}

static int change_env(struct changer *c, const char *args, struct error *err)
{
	return change_pairs(c, args, "ENV", env_set, err);
}

static int change_label(struct changer *c, const char *args, struct error *err)
{
	return change_pairs(c, args, "LABEL", label_set, err);
}

static int expose_one(struct changer *c, const char *word, struct error *err)
{
	size_t len = strcspn(word, "/");
	autofree char *ports = xstrndup(word, len);
	const char *proto = word[len] ? word + len + 1 : "tcp";
	char *dash = strchr(ports, '-');
	uint32_t from, to;

	if (dash)
		*dash++ = '\0';
	if (str_parse_u32(ports, &from) < 0 || str_parse_u32(dash ? dash : ports, &to) < 0 ||
	    to >= MAX_PORT_RANGE || from > to || from == 0)
		return error_set(err, ERROR_INVALID, 0, "invalid containerPort: %s", word);
	if (strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0 &&
	    strcasecmp(proto, "sctp") != 0)
		return error_set(err, ERROR_INVALID, 0, "invalid proto: %s", proto);
	for (uint32_t port = from; port <= to; port++) {
		char *key = arena_printf(c->a, "%u/%s", port, proto);

		for (char *p = key; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (!strings_has(&c->config->exposed_ports, key))
			strings_add(c->a, &c->config->exposed_ports, key);
	}
	return 0;
}

static int change_expose(struct changer *c, const char *args, struct error *err)
{
	struct json_strings words = {0};
	int r = all_words(c, args, &words, err);

	for (size_t i = 0; i < words.n && r >= 0; i++)
		r = expose_one(c, words.v[i], err);
	return r;
}

static int change_volume(struct changer *c, const char *args, struct error *err)
{
	struct json_strings words = {0};
	int r = json_form(c, args, &words) ? 0 : all_words(c, args, &words, err);

	for (size_t i = 0; i < words.n && r >= 0; i++) {
		if (str_empty(words.v[i]))
			return error_set(err, ERROR_INVALID, 0,
					 "VOLUME specified can not be an empty string");
		if (!strings_has(&c->config->volumes, words.v[i]))
			strings_add(c->a, &c->config->volumes, words.v[i]);
	}
	return r;
}

static int change_user(struct changer *c, const char *args, struct error *err)
{
	return one_word(c, args, &c->config->user, err);
}

static int change_stopsignal(struct changer *c, const char *args, struct error *err)
{
	return one_word(c, args, &c->config->stop_signal, err);
}

/* Lexically clean: "/a/./b/../c" is "/a/c". */
static const char *clean_path(struct arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t n = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len + (path[len] == '/');
	}
	out[n] = '\0';
	return n ? out : "/";
}

static int change_workdir(struct changer *c, const char *args, struct error *err)
{
	const char *old = c->config->working_dir, *dir = NULL;
	int r = one_word(c, args, &dir, err);

	if (r < 0)
		return r;
	if (dir[0] != '/')
		dir = arena_printf(c->a, "%s/%s", old ? old : "", dir);
	c->config->working_dir = clean_path(c->a, dir);
	return 0;
}

static int change_shell(struct changer *c, const char *args, struct error *err)
{
	struct json_strings shell = {0};

	if (!json_form(c, args, &shell) || shell.n == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "SHELL requires the arguments to be in JSON form");
	c->config->shell = shell;
	return 0;
}

/* Go's durations: "1h30m", "2.5s", "100ms". */
static int parse_duration(const char *s, int64_t *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double total = 0;

	if (str_eq(s, "0")) {
		*ret = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		char *end;
		double v;
		size_t len, i;

		if (!isdigit((unsigned char)*s) && *s != '.')
			return -EINVAL;
		v = strtod(s, &end);
		len = strcspn(end, "0123456789.");
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].unit) == len && memcmp(end, units[i].unit, len) == 0)
				break;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		total += v * units[i].ns;
		s = end + len;
	}
	if (total >= 9.2e18)
		return -ERANGE;
	*ret = (int64_t)total;
	return 0;
}

static int health_option(struct image_healthcheck *h, const char *option, struct error *err)
{
	const struct {
		const char *name;
		int64_t *value;
	} durations[] = {{"--interval=", &h->interval_ns},
			 {"--timeout=", &h->timeout_ns},
			 {"--start-period=", &h->start_period_ns},
			 {"--start-interval=", &h->start_interval_ns}};

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		const char *name = durations[i].name;

		if (!str_has_prefix(option, name))
			continue;
		if (parse_duration(option + strlen(name), durations[i].value) < 0 ||
		    (*durations[i].value != 0 && *durations[i].value < 1000000))
			return error_set(err, ERROR_INVALID, 0, "invalid duration in '%s'", option);
		return 0;
	}
	if (str_has_prefix(option, "--retries=")) {
		if (str_parse_int(option + strlen("--retries="), &h->retries) < 0 || h->retries < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid number in '%s'", option);
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "unknown flag: %s", option);
}

static int change_healthcheck(struct changer *c, const char *args, struct error *err)
{
	struct image_healthcheck *h = arena_new0(c->a, struct image_healthcheck);
	struct json_strings cmd = {0};

	while (str_has_prefix(args, "--")) {
		size_t len = strcspn(args, " \t");
		int r = health_option(h, arena_strndup(c->a, args, len), err);

		if (r < 0)
			return r;
		args = skip_blanks(args + len);
	}
	if (strcasecmp(args, "NONE") == 0) {
		strings_add(c->a, &h->test, "NONE");
	} else if (strncasecmp(args, "CMD", 3) == 0 && (is_blank(args[3]) || args[3] == '[')) {
		args = skip_blanks(args + 3);
		if (!args[0])
			return error_set(err, ERROR_INVALID, 0,
					 "Missing command after HEALTHCHECK CMD");
		if (json_form(c, args, &cmd)) {
			strings_add(c->a, &h->test, "CMD");
			for (size_t i = 0; i < cmd.n; i++)
				strings_add(c->a, &h->test, cmd.v[i]);
		} else {
			strings_add(c->a, &h->test, "CMD-SHELL");
			strings_add(c->a, &h->test, args);
		}
	} else {
		return error_set(err, ERROR_INVALID, 0,
				 "Unknown type \"%.*s\" in HEALTHCHECK (try CMD)",
				 (int)strcspn(args, " \t"), args);
	}
	c->config->healthcheck = h;
	return 0;
}

static int change_onbuild(struct changer *c, const char *args, struct error *err)
{
	size_t len = strcspn(args, " \t");

	if (len == 7 && strncasecmp(args, "ONBUILD", 7) == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	if ((len == 4 && strncasecmp(args, "FROM", 4) == 0) ||
	    (len == 10 && strncasecmp(args, "MAINTAINER", 10) == 0))
		return error_set(err, ERROR_INVALID, 0, "%.*s isn't allowed as an ONBUILD trigger",
				 (int)len, args);
	strings_add(c->a, &c->config->on_build, args);
	return 0;
}

static const struct {
	const char *name;
	int (*apply)(struct changer *c, const char *args, struct error *err);
} instructions[] = {
	{"CMD", change_cmd},
	{"ENTRYPOINT", change_entrypoint},
	{"ENV", change_env},
	{"EXPOSE", change_expose},
	{"HEALTHCHECK", change_healthcheck},
	{"LABEL", change_label},
	{"ONBUILD", change_onbuild},
	{"SHELL", change_shell},
	{"STOPSIGNAL", change_stopsignal},
	{"USER", change_user},
	{"VOLUME", change_volume},
	{"WORKDIR", change_workdir},
};

/* ---- lines ---- */

static int apply_line(struct changer *c, const char *line, struct error *err)
{
	size_t len = strcspn(line, " \t");
	const char *args = skip_blanks(line + len);

	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		const char *name = instructions[i].name;

		if (strlen(name) != len || strncasecmp(line, name, len) != 0)
			continue;
		if (!args[0])
			return error_set(err, ERROR_INVALID, 0, "%s requires at least one argument",
					 name);
		return instructions[i].apply(c, args, err);
	}
	return error_set(err, ERROR_INVALID, 0, "%.*s is not a valid change command",
			 len > 64 ? 64 : (int)len, line);
}

/* The next logical line without blanks around it; NULL at the end. */
static char *next_line(struct arena *a, const char **pp)
{
	const char *p = *pp;
	char *out = arena_alloc(a, strlen(p) + 1), *start;
	size_t n = 0;

	if (!*p)
		return NULL;
	while (*p) {
		size_t len = strcspn(p, "\r\n"), keep = len;
		bool more;

		while (keep > 0 && is_blank(p[keep - 1]))
			keep--;
		more = keep > 0 && p[keep - 1] == '\\';
		memcpy(out + n, p, more ? keep - 1 : keep);
		n += more ? keep - 1 : keep;
		p += len;
		p += strspn(p, "\r");
		p += *p == '\n';
		if (!more)
			break;
	}
	*pp = p;
	out[n] = '\0';
	start = (char *)skip_blanks(out);
	return start;
}

int image_changes_apply(struct arena *a, struct image_config *config, const char *const *changes,
			struct error *err)
{
	struct changer c = {.a = a, .config = config};
	size_t total = 0;

	for (; changes && *changes; changes++) {
		const char *p = *changes;
		char *line;

		total += strlen(p);
		if (total > IMAGE_CHANGES_MAX)
			return error_set(err, ERROR_INVALID, 0,
					 "the changes are longer than %d bytes", IMAGE_CHANGES_MAX);
		if (!utf8_valid(p, strlen(p)))
			return error_set(err, ERROR_INVALID, 0, "the changes are not UTF-8");
		while ((line = next_line(a, &p))) {
			int r = line[0] && line[0] != '#' ? apply_line(&c, line, err) : 0;

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- inheriting ---- */

static void inherit_set(struct arena *a, struct json_strings *s, const struct json_strings *base)
{
	for (size_t i = 0; i < base->n; i++)
		if (!strings_has(s, base->v[i]))
			strings_add(a, s, base->v[i]);
}

static void inherit_env(struct changer *c, const struct json_strings *base)
{
	for (size_t i = 0; i < base->n; i++)
		if (!env_get(c, base->v[i], strcspn(base->v[i], "=")))
			strings_add(c->a, &c->config->env, base->v[i]);
}

static void inherit_labels(struct changer *c, const struct json_string_map *base)
{
	for (size_t i = 0; i < base->n; i++) {
		bool found = false;

		for (size_t k = 0; k < c->config->labels.n && !found; k++)
			found = str_eq(c->config->labels.keys[k], base->keys[i]);
		if (!found)
			label_set(c, base->keys[i], base->values[i]);
	}
}

static void inherit_health(struct arena *a, struct image_config *config,
			   const struct image_healthcheck *base)
{
	struct image_healthcheck *h;

	if (!base || !config->healthcheck) {
		config->healthcheck = config->healthcheck ? config->healthcheck : base;
		return;
	}
	h = arena_memdup(a, config->healthcheck, sizeof(*h));
	if (h->test.n == 0)
		h->test = base->test;
	h->interval_ns = h->interval_ns ? h->interval_ns : base->interval_ns;
	h->timeout_ns = h->timeout_ns ? h->timeout_ns : base->timeout_ns;
	h->start_period_ns = h->start_period_ns ? h->start_period_ns : base->start_period_ns;
	h->start_interval_ns =
		h->start_interval_ns ? h->start_interval_ns : base->start_interval_ns;
	h->retries = h->retries ? h->retries : base->retries;
	config->healthcheck = h;
}

void image_config_inherit(struct arena *a, struct image_config *config,
			  const struct image_config *base)
{
	struct changer c = {.a = a, .config = config};

	if (str_empty(config->user))
		config->user = base->user;
	if (str_empty(config->working_dir))
		config->working_dir = base->working_dir;
	if (str_empty(config->stop_signal))
		config->stop_signal = base->stop_signal;
	inherit_set(a, &config->exposed_ports, &base->exposed_ports);
	inherit_set(a, &config->volumes, &base->volumes);
	inherit_env(&c, &base->env);
	inherit_labels(&c, &base->labels);
	inherit_health(a, config, base->healthcheck);
	if (config->entrypoint.n == 0) {
		if (config->cmd.n == 0)
			config->cmd = base->cmd;
		if (!config->entrypoint.v)
			config->entrypoint = base->entrypoint;
	}
}
