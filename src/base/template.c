/* Go templates: a parser into a tree, and an executor that walks it.
 *
 * Text outside of {{ }} is copied.  An action holds a pipeline: commands joined by '|', each a list of
 * operands of which the first may be a function; what a command yields becomes the last argument of
 * the next.  if, with and range open a block that end closes.
 */
#include "base/template.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/template_priv.h"

#define TEMPLATE_DEPTH_MAX 32
#define TEMPLATE_ARGS_MAX  32
#define TEMPLATE_VARS_MAX  32

struct pipeline;

enum operand_kind {
	OPERAND_DOT,
	OPERAND_VARIABLE, /* $name, $ */
	OPERAND_LITERAL,
	OPERAND_FUNCTION,
	OPERAND_PIPELINE, /* (...) */
};

struct operand {
	enum operand_kind kind;
	const char *name; /* variable or function */
	struct value literal;
	const struct pipeline *pipeline;
	const char **fields; /* chain behind it: .A.B */
	size_t field_count;
	struct operand *next;
};

struct command {
	struct operand *operands;
	struct command *next;
};

struct pipeline {
	const char *vars[2]; /* $v := ..., or range's $i, $v := ... */
	size_t var_count;
	struct command *commands;
};

enum node_kind { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_WITH, NODE_RANGE };

struct node {
	enum node_kind kind;
	const char *text;
	size_t len;
	const struct pipeline *pipeline;
	struct node *body, *otherwise, *next;
};

struct template
{
	struct node *nodes;
};

/* Parsing ----------------------------------------------------------------------------------- */

struct parser {
	struct arena *arena;
	const char *p; /* next character */
	const char *start;
	unsigned depth;
	bool trim; /* the action just read ended in "-}}" */
	struct error *err;
};

static int syntax(struct parser *p, const char *what)
{
	unsigned line = 1;

	for (const char *c = p->start; c < p->p; c++)
		line += *c == '\n';
	return error_set(p->err, ERROR_INVALID, 0, "template parsing error: template: :%u: %s",
			 line, what);
}

static void skip_space(struct parser *p)
{
	while (isspace((unsigned char)*p->p))
		p->p++;
}

static char *word(struct parser *p)
{
	const char *start = p->p;

	while (isalnum((unsigned char)*p->p) || *p->p == '_')
		p->p++;
	return arena_strndup(p->arena, start, (size_t)(p->p - start));
}

static bool at_end(const struct parser *p)
{
	return strncmp(p->p, "}}", 2) == 0 || strncmp(p->p, "-}}", 3) == 0;
}

static int parse_string(struct parser *p, struct value *ret)
{
	char quote = *p->p++;
	size_t len = 0;
	char *s = arena_alloc(p->arena, strlen(p->p) + 1);

	while (*p->p && *p->p != quote) {
		char c = *p->p++;

		if (c == '\\' && quote == '"' && *p->p) {
			c = *p->p++;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		s[len++] = c;
	}
	if (!*p->p)
		return syntax(p, "unterminated quoted string");
	p->p++;
	*ret = (struct value){.kind = VALUE_STRING, .string = s};
	return 0;
}

static int parse_number(struct parser *p, struct value *ret)
{
	const char *start = p->p;
	int64_t number = 0;

	if (*p->p == '-' || *p->p == '+')
		p->p++;
	while (isdigit((unsigned char)*p->p))
		p->p++;
	if (str_parse_i64(arena_strndup(p->arena, start, (size_t)(p->p - start)), &number) < 0)
		return syntax(p, "bad number syntax");
	*ret = (struct value){.kind = VALUE_INT, .integer = number};
	return 0;
}

static int parse_word(struct parser *p, struct operand *o)
{
	o->name = word(p);
	if (strcmp(o->name, "true") == 0 || strcmp(o->name, "false") == 0) {
		o->kind = OPERAND_LITERAL;
		o->literal = (struct value){.kind = VALUE_BOOL, .integer = o->name[0] == 't'};
	} else if (strcmp(o->name, "nil") == 0) {
		o->kind = OPERAND_LITERAL;
	} else if (template_function(o->name)) {
		o->kind = OPERAND_FUNCTION;
	} else {
		return syntax(p, arena_printf(p->arena, "function \"%s\" not defined", o->name));
	}
	return 0;
}

static int parse_pipeline(struct parser *p, const struct pipeline **ret);

static int parse_parenthesis(struct parser *p, struct operand *o)
{
	int r;

	p->p++;
	o->kind = OPERAND_PIPELINE;
	r = parse_pipeline(p, &o->pipeline);
	if (r < 0)
		return r;
	if (*p->p != ')')
		return syntax(p, "unclosed left paren");
	p->p++;
	return 0;
}

/* .A.B behind an operand, or "." alone when `alone` */
static void parse_fields(struct parser *p, struct operand *o)
{
	size_t room = 0;

	for (const char *c = p->p; *c; c++)
		room += *c == '.';
	o->fields = arena_alloc(p->arena, (room + 1) * sizeof(*o->fields));
	while (p->p[0] == '.' && (isalnum((unsigned char)p->p[1]) || p->p[1] == '_')) {
		p->p++;
		o->fields[o->field_count++] = word(p);
	}
}

static int parse_operand(struct parser *p, struct operand **ret)
{
	struct operand *o = arena_new0(p->arena, struct operand);
	char c = *p->p;
	int r = 0;

	if (c == '.') {
		if (!isalnum((unsigned char)p->p[1]) && p->p[1] != '_')
			p->p++;
	} else if (c == '$') {
		p->p++;
		o->kind = OPERAND_VARIABLE;
		o->name = word(p);
	} else if (c == '"' || c == '`') {
		o->kind = OPERAND_LITERAL;
		r = parse_string(p, &o->literal);
	} else if (isdigit((unsigned char)c) || c == '-' || c == '+') {
		o->kind = OPERAND_LITERAL;
		r = parse_number(p, &o->literal);
	} else if (c == '(') {
		r = parse_parenthesis(p, o);
	} else if (isalpha((unsigned char)c)) {
		r = parse_word(p, o);
	} else {
		return syntax(p, *p->p ? "unexpected character in operand" : "unclosed action");
	}
	if (r < 0)
		return r;
	if (o->kind != OPERAND_LITERAL && o->kind != OPERAND_FUNCTION)
		parse_fields(p, o);
	*ret = o;
	return 0;
}

static int parse_command(struct parser *p, struct command **ret)
{
	struct command *c = arena_new0(p->arena, struct command);
	struct operand **tail = &c->operands;

	for (size_t n = 0;; n++) {
		int r;

		skip_space(p);
		if (*p->p == '|' || *p->p == ')' || at_end(p))
			break;
		if (n == TEMPLATE_ARGS_MAX)
			return syntax(p, "too many arguments");
		r = parse_operand(p, tail);
		if (r < 0)
			return r;
		tail = &(*tail)->next;
	}
	if (!c->operands)
		return syntax(p, "missing value for command");
	*ret = c;
	return 0;
}

/* "$a :=" or "$a, $b :="; leaves the position alone when it is neither. */
static void parse_declaration(struct parser *p, struct pipeline *pl)
{
	const char *start = p->p;
	const char *vars[2] = {NULL, NULL};
	size_t n = 0;

	while (*p->p == '$' && n < 2) {
		p->p++;
		vars[n++] = word(p);
		skip_space(p);
		if (*p->p != ',')
			break;
		p->p++;
		skip_space(p);
	}
	if (n && (strncmp(p->p, ":=", 2) == 0 || (p->p[0] == '=' && n == 1))) {
		p->p += p->p[0] == ':' ? 2 : 1;
		pl->vars[0] = vars[0];
		pl->vars[1] = vars[1];
		pl->var_count = n;
	} else {
		p->p = start;
	}
}

static int parse_pipeline(struct parser *p, const struct pipeline **ret)
{
	struct pipeline *pl = arena_new0(p->arena, struct pipeline);
	struct command **tail = &pl->commands;

	if (++p->depth > TEMPLATE_DEPTH_MAX)
		return syntax(p, "nested too deeply");
	skip_space(p);
	parse_declaration(p, pl);
	for (;;) {
		int r = parse_command(p, tail);

		if (r < 0)
			return r;
		tail = &(*tail)->next;
		if (*p->p != '|')
			break;
		p->p++;
	}
	p->depth--;
	*ret = pl;
	return 0;
}

static int parse_close(struct parser *p)
{
	skip_space(p);
	p->trim = *p->p == '-';
	if (p->trim)
		p->p++;
	if (strncmp(p->p, "}}", 2) != 0)
		return syntax(p, "unexpected text in action");
	p->p += 2;
	if (p->trim)
		skip_space(p);
	return 0;
}

enum stop { STOP_END, STOP_ELSE, STOP_TEXT_END };
static int parse_nodes(struct parser *p, struct node **ret, enum stop *ret_stop);

static bool keyword(struct parser *p, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(p->p, name, len) != 0 || isalnum((unsigned char)p->p[len]) || p->p[len] == '_')
		return false;
	p->p += len;
	return true;
}

/* Behind "if", "with" or "range": condition, body, else and end. */
static int parse_block(struct parser *p, struct node *n)
{
	enum stop stop;
	int r;

	if (++p->depth > TEMPLATE_DEPTH_MAX)
		return syntax(p, "nested too deeply");
	r = parse_pipeline(p, &n->pipeline);
	if (r >= 0)
		r = parse_close(p);
	if (r >= 0)
		r = parse_nodes(p, &n->body, &stop);
	if (r < 0)
		return r;
	if (stop == STOP_ELSE) {
		skip_space(p);
		if (keyword(p, "if")) { /* else if: one block, one end */
			n->otherwise = arena_new0(p->arena, struct node);
			n->otherwise->kind = NODE_IF;
			p->depth--;
			return parse_block(p, n->otherwise);
		}
		r = parse_close(p);
		if (r >= 0)
			r = parse_nodes(p, &n->otherwise, &stop);
		if (r < 0)
			return r;
	}
	if (stop != STOP_END)
		return syntax(p, "unexpected EOF");
	p->depth--;
	return parse_close(p);
}

static int parse_action(struct parser *p, struct node *n)
{
	static const struct {
		const char *name;
		enum node_kind kind;
	} blocks[] = {{"if", NODE_IF}, {"with", NODE_WITH}, {"range", NODE_RANGE}};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		if (keyword(p, blocks[i].name)) {
			n->kind = blocks[i].kind;
			return parse_block(p, n);
		}
	}
	n->kind = NODE_ACTION;
	r = parse_pipeline(p, &n->pipeline);
	return r < 0 ? r : parse_close(p);
}

/* The text up to the next action; a "{{-" takes the white space before it away. */
static struct node *parse_text(struct parser *p, bool *ret_opened)
{
	const char *open = strstr(p->p, "{{");
	size_t len = open ? (size_t)(open - p->p) : strlen(p->p);
	struct node *n = arena_new0(p->arena, struct node);

	n->kind = NODE_TEXT;
	n->text = p->p;
	n->len = len;
	p->p += len;
	*ret_opened = open != NULL;
	if (!open)
		return n;
	p->p += 2;
	if (p->p[0] == '-' && isspace((unsigned char)p->p[1])) {
		p->p++;
		while (n->len && isspace((unsigned char)n->text[n->len - 1]))
			n->len--;
	}
	skip_space(p);
	return n;
}

static int parse_nodes(struct parser *p, struct node **ret, enum stop *ret_stop)
{
	struct node **tail = ret;

	for (;;) {
		bool opened;
		int r;

		*tail = parse_text(p, &opened);
		tail = &(*tail)->next;
		if (!opened) {
			*ret_stop = STOP_TEXT_END;
			return 0;
		}
		if (strncmp(p->p, "/*", 2) == 0) {
			const char *end = strstr(p->p, "*/");

			if (!end)
				return syntax(p, "unclosed comment");
			p->p = end + 2;
			r = parse_close(p);
		} else if (keyword(p, "end")) {
			*ret_stop = STOP_END;
			return 0;
		} else if (keyword(p, "else")) {
			*ret_stop = STOP_ELSE;
			return 0;
		} else {
			*tail = arena_new0(p->arena, struct node);
			r = parse_action(p, *tail);
			tail = &(*tail)->next;
		}
		if (r < 0)
			return r;
	}
}

int template_parse(struct arena *a, const char *text, const struct template **ret,
		   struct error *err)
{
	char *copy = arena_strdup(a, text);
	struct parser p = {.arena = a, .p = copy, .start = copy, .err = err};
	struct template *t = arena_new0(a, struct template);
	enum stop stop;
	int r = parse_nodes(&p, &t->nodes, &stop);

	if (r < 0)
		return r;
	if (stop != STOP_TEXT_END)
		return syntax(&p, stop == STOP_END ? "unexpected {{end}}" : "unexpected {{else}}");
	*ret = t;
	return 0;
}

/* Execution --------------------------------------------------------------------------------- */

struct variable {
	const char *name;
	struct value value;
};

struct run {
	struct arena *arena;
	struct strbuf *out;
	struct variable vars[TEMPLATE_VARS_MAX];
	size_t var_count;
	struct error *err;
};

static int eval_pipeline(struct run *run, const struct pipeline *pl, const struct value *dot,
			 struct value *ret);

static int set_variable(struct run *run, const char *name, const struct value *v)
{
	if (run->var_count == TEMPLATE_VARS_MAX)
		return error_set(run->err, ERROR_INVALID, 0, "template: too many variables");
	run->vars[run->var_count++] = (struct variable){name, *v};
	return 0;
}

static int eval_field(struct run *run, const char *field, struct value *v)
{
	const struct json *member = NULL;

	if (v->kind == VALUE_JSON && json_is_null(v->json))
		return error_set(run->err, ERROR_INVALID, 0,
				 "template parsing error: template: :1: executing \"\" at <.%s>: "
				 "nil data; no entry for key \"%s\"",
				 field, field);
	if (v->kind == VALUE_JSON && json_type(v->json) == JSON_OBJECT)
		member = json_get(v->json, field);
	if (!member)
		return error_set(run->err, ERROR_INVALID, 0,
				 "template parsing error: template: :1: executing \"\" at <.%s>: "
				 "map has no entry for key \"%s\"",
				 field, field);
	*v = value_of_json(member);
	return 0;
}

static int eval_operand(struct run *run, const struct operand *o, const struct value *dot,
			struct value *ret)
{
	struct value v = *dot;
	int r = 0;

	switch (o->kind) {
	case OPERAND_DOT:
		break;
	case OPERAND_LITERAL:
		v = o->literal;
		break;
	case OPERAND_PIPELINE:
		r = eval_pipeline(run, o->pipeline, dot, &v);
		break;
	case OPERAND_VARIABLE:
		r = error_set(run->err, ERROR_INVALID, 0, "template: undefined variable \"$%s\"",
			      o->name);
		for (size_t i = run->var_count; i-- > 0;) {
			if (strcmp(run->vars[i].name, o->name) == 0) {
				v = run->vars[i].value;
				r = 0;
				break;
			}
		}
		if (r == 0 && run->err)
			error_done(run->err);
		break;
	case OPERAND_FUNCTION: {
		struct call c = {.arena = run->arena, .name = o->name, .err = run->err};

		r = template_function(o->name)(&c, &v);
		break;
	}
	default:
		break;
	}
	for (size_t i = 0; r == 0 && i < o->field_count; i++)
		r = eval_field(run, o->fields[i], &v);
	if (r == 0)
		*ret = v;
	return r;
}

/* {{.Label "name"}}, the one method that rows of lists have: a member of the object "Label", or "". */
static bool is_label_call(const struct operand *o)
{
	return o->kind == OPERAND_DOT && o->field_count == 1 &&
	       strcmp(o->fields[0], "Label") == 0 && o->next && o->next->kind == OPERAND_LITERAL &&
	       !o->next->next && o->next->literal.kind == VALUE_STRING;
}

static int eval_label(struct run *run, const struct operand *o, const struct value *dot,
		      struct value *ret)
{
	struct value labels = {0};
	const char *name = o->next->literal.string, *label;
	int r = eval_operand(run, o, dot, &labels);

	if (r < 0)
		return r;
	label = labels.kind == VALUE_JSON ? json_get_string(labels.json, name) : NULL;
	/* In a table's header "Label" is no object: the column is called by the label. */
	if (labels.kind != VALUE_JSON)
		label = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
	*ret = (struct value){.kind = VALUE_STRING, .string = label ? label : ""};
	return 0;
}

/* `piped` is the previous command's value, the last argument of this one; NULL for the first. */
static int eval_command(struct run *run, const struct command *c, const struct value *dot,
			const struct value *piped, struct value *ret)
{
	const struct operand *first = c->operands;
	struct value args[TEMPLATE_ARGS_MAX + 1];
	size_t n = 0;

	if (first->kind != OPERAND_FUNCTION) {
		if (is_label_call(first) && !piped)
			return eval_label(run, first, dot, ret);
		if (first->next || piped)
			return error_set(run->err, ERROR_INVALID, 0,
					 "template: can't give argument to non-function");
		return eval_operand(run, first, dot, ret);
	}
	for (const struct operand *o = first->next; o; o = o->next) {
		int r = eval_operand(run, o, dot, &args[n]);

		if (r < 0)
			return r;
		n++;
	}
	if (piped)
		args[n++] = *piped;
	struct call call = {.arena = run->arena,
			    .name = first->name,
			    .args = args,
			    .count = n,
			    .err = run->err};
	return template_function(first->name)(&call, ret);
}

static int eval_pipeline(struct run *run, const struct pipeline *pl, const struct value *dot,
			 struct value *ret)
{
	struct value v = {0};

	for (const struct command *c = pl->commands; c; c = c->next) {
		struct value piped = v;
		int r = eval_command(run, c, dot, c == pl->commands ? NULL : &piped, &v);

		if (r < 0)
			return r;
	}
	*ret = v;
	return 0;
}

static int run_nodes(struct run *run, const struct node *n, const struct value *dot);

static int run_element(struct run *run, const struct node *n, const struct value *key,
		       const struct value *element)
{
	const struct pipeline *pl = n->pipeline;
	size_t scope = run->var_count;
	int r = 0;

	if (pl->var_count == 2)
		r = set_variable(run, pl->vars[0], key);
	if (r == 0 && pl->var_count)
		r = set_variable(run, pl->vars[pl->var_count - 1], element);
	if (r == 0)
		r = run_nodes(run, n->body, element);
	run->var_count = scope;
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int run_range(struct run *run, const struct node *n, const struct value *dot,
		     const struct value *over)
{
	bool object = over->kind == VALUE_JSON && json_type(over->json) == JSON_OBJECT;
	size_t count = over->kind == VALUE_LIST   ? over->count
		       : over->kind == VALUE_JSON ? json_count(over->json)
						  : 0;
	const char **keys = arena_alloc(run->arena, (count + 1) * sizeof(*keys));
	int r = 0;

	if (over->kind != VALUE_LIST && over->kind != VALUE_JSON)
		return error_set(run->err, ERROR_INVALID, 0,
				 "template: range can't iterate over it");
	if (count == 0)
		return run_nodes(run, n->otherwise, dot);
	/* objects go by sorted key, as in Go */
	for (size_t i = 0; object && i < count; i++)
		keys[i] = json_key_at(over->json, i);
	if (object)
		qsort(keys, count, sizeof(*keys), by_name);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct value key = {.kind = VALUE_INT, .integer = (int64_t)i}, element;

		if (object) {
			key = (struct value){.kind = VALUE_STRING, .string = keys[i]};
			element = value_of_json(json_get(over->json, keys[i]));
		} else if (over->kind == VALUE_LIST) {
			element = (struct value){.kind = VALUE_STRING, .string = over->list[i]};
		} else {
			element = value_of_json(json_at(over->json, i));
		}
		r = run_element(run, n, &key, &element);
	}
	return r;
}

static int run_block(struct run *run, const struct node *n, const struct value *dot)
{
	size_t scope = run->var_count;
	struct value v;
	int r = eval_pipeline(run, n->pipeline, dot, &v);

	if (r < 0)
		return r;
	if (n->kind == NODE_RANGE)
		return run_range(run, n, dot, &v);
	if (n->pipeline->var_count)
		r = set_variable(run, n->pipeline->vars[0], &v);
	if (r == 0 && value_is_true(&v))
		r = run_nodes(run, n->body, n->kind == NODE_WITH ? &v : dot);
	else if (r == 0)
		r = run_nodes(run, n->otherwise, dot);
	run->var_count = scope;
	return r;
}

static int run_action(struct run *run, const struct node *n, const struct value *dot)
{
	struct value v;
	int r = eval_pipeline(run, n->pipeline, dot, &v);

	if (r < 0)
		return r;
	if (n->pipeline->var_count)
		return set_variable(run, n->pipeline->vars[0], &v);
	value_print(&v, run->out);
	return 0;
}

static int run_nodes(struct run *run, const struct node *n, const struct value *dot)
{
	int r = 0;

	for (; r == 0 && n; n = n->next) {
		if (n->kind == NODE_TEXT)
			strbuf_add(run->out, n->text, n->len);
		else if (n->kind == NODE_ACTION)
			r = run_action(run, n, dot);
		else
			r = run_block(run, n, dot);
	}
	return r;
}

int template_execute(const struct template *t, const struct json *dot, struct strbuf *out,
		     struct error *err)
{
	autoarena struct arena *arena = arena_new();
	struct value v = value_of_json(dot);
	struct run run = {.arena = arena, .out = out, .err = err};

	run.vars[run.var_count++] = (struct variable){"", v}; /* $ */
	return run_nodes(&run, t->nodes, &v);
}
