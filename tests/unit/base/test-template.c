#include "base/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char document[] =
	"{\"Name\":\"web\",\"N\":3,\"On\":true,\"Off\":false,\"Nil\":null,\"List\":[\"a\",\"b\"],"
	"\"Map\":{\"z\":\"1\",\"k\":\"2\"},\"Empty\":[],\"Deep\":{\"Er\":{\"V\":\"x\"}},"
	"\"Ports\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}}";

/* Expected outputs are what Go 1.24's text/template prints for the same document. */
static const struct {
	const char *template, *output;
} good[] = {
	{"plain", "plain"},
	{"{{.Name}}-{{ .N }}-{{.On}}", "web-3-true"},
	{"{{.Deep.Er.V}}", "x"},
	{"{{json .List}}", "[\"a\",\"b\"]"},
	{"{{.List}} {{.Map}}", "[a b] map[k:2 z:1]"},
	{"{{.Nil}}", "<no value>"},
	{"{{range .List}}<{{.}}>{{end}}", "<a><b>"},
	{"{{range $i, $v := .List}}{{$i}}={{$v}};{{end}}", "0=a;1=b;"},
	{"{{range $k, $v := .Map}}{{$k}}={{$v}};{{end}}", "k=2;z=1;"},
	{"{{range .Empty}}x{{else}}none{{end}}", "none"},
	{"{{if .On}}yes{{else}}no{{end}}{{if .Off}}yes{{else}}no{{end}}", "yesno"},
	{"{{if .Off}}a{{else if .On}}b{{else}}c{{end}}", "b"},
	{"{{if and .On (eq .Name \"web\") (gt .N 2)}}ok{{end}}", "ok"},
	{"{{if or .Off (ne .N 3)}}bad{{else}}ok{{end}}", "ok"},
	{"{{with .Deep.Er}}{{.V}}{{$.Name}}{{end}}", "xweb"},
	{"{{index .List 1}}{{index .Map \"k\"}}", "b2"},
	{"{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"},
	{"{{len .List}}{{len .Name}}", "23"},
	{"{{join .List \",\"}} {{upper .Name}} {{title .Name}}", "a,b WEB Web"},
	{"{{.Name | upper | printf \"%s-%d\" \"x\"}}", "x-%!d(string=WEB)"},
	{"{{printf \"%5s|%-5s|%03d|%q\" .Name .Name .N .Name}}", "  web|web  |003|\"web\""},
	{"{{(index (split \"a/b/c\" \"/\") 1)}}", "b"},
	{"{{pad .Name 1 2}}|{{truncate .Name 2}}", " web  |we"},
	{"{{println .Name .N}}", "web 3\n"},
	{"{{$x := .Name}}{{$x}}", "web"},
	{"a {{- .Name -}} b", "awebb"},
	{"{{/* nothing */}}x", "x"},
	{"{{not .On}}{{true}}", "falsetrue"},
	{"{{`raw \"q\"`}}", "raw \"q\""},
};

static const char *const bad[] = {
	"{{",
	"{{.Name",
	"{{end}}",
	"{{if .On}}x",
	"{{nope .Name}}",
	"{{else}}",
	"{{range}}{{end}}",
	"{{.Missing}}",
	"{{.Nil.X}}",
	"{{index .List 9}}",
	"{{\"x}}",
	"{{(.Name}}",
	"{{.Name .N}}",
	"{{eq .Name .N}}",
	"{{$undefined}}",
	"{{/* x}}",
	"{{len}}",
	"{{range .N}}x{{end}}",
};

static const struct json *parse_document(struct arena *a)
{
	const struct json *dot = NULL;

	assert_int_equal(json_parse(a, document, sizeof(document) - 1, &dot, NULL), 0);
	return dot;
}

static void prints_as_go_does(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *dot = parse_document(a);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		autostrbuf struct strbuf out = STRBUF_INIT(4096);
		autoerror struct error err = {0};
		const struct template *t = NULL;
		int r = template_parse(a, good[i].template, &t, &err);

		if (r == 0)
			r = template_execute(t, dot, &out, &err);
		if (r < 0)
			fail_msg("%s: %s", good[i].template, error_msg(&err));
		assert_string_equal(out.s, good[i].output);
	}
}

static void refuses_what_is_wrong(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *dot = parse_document(a);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autostrbuf struct strbuf out = STRBUF_INIT(4096);
		autoerror struct error err = {0};
		const struct template *t = NULL;
		int r = template_parse(a, bad[i], &t, &err);

		if (r == 0)
			r = template_execute(t, dot, &out, &err);
		if (r == 0)
			fail_msg("%s gave '%s'", bad[i], out.s);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_as_go_does),
		cmocka_unit_test(refuses_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
