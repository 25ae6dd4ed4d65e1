/* Dockerfile instructions applied to a config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "oci/image_changes.h"

/* The config that instructions make, as JSON. */
static void expect(const char *const *changes, const char *json)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf out = STRBUF_INIT(65536);
	autoerror struct error err = {0};
	struct image_config config = {0};
	struct json_writer w;

	if (image_changes_apply(a, &config, changes, &err) < 0)
		fail_msg("%s: %s", changes[0], error_msg(&err));
	json_writer_init(&w, &out);
	image_config_write(&w, &config);
	assert_string_equal(out.s, json);
}

#define EXPECT(json, ...) expect((const char *const[]){__VA_ARGS__, NULL}, (json))

static void test_commands(void **state)
{
	(void)state;
	EXPECT("{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME \\\"x\\\"\"]}", "CMD echo $HOME \"x\"");
	EXPECT("{\"Cmd\":[\"a\",\"b c\"]}", "cmd [\"a\", \"b c\"]");
	EXPECT("{\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\", 1]\"]}", "CMD [\"a\", 1]");
	EXPECT("{\"Entrypoint\":[\"/e\"]}", "ENTRYPOINT [\"/e\"]");
	/* A command before the entry point in the same changes stays. */
	EXPECT("{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"x\"]}", "CMD [\"x\"]", "ENTRYPOINT [\"/e\"]");
	EXPECT("{\"Cmd\":[\"/bin/bash\",\"-ec\",\"ls\"],\"Shell\":[\"/bin/bash\",\"-ec\"]}",
	       "SHELL [\"/bin/bash\",\"-ec\"]", "CMD ls");
}

static void test_environment(void **state)
{
	(void)state;
	EXPECT("{\"Env\":[\"A=b\",\"C=d e\"]}", "ENV A=b C=\"d e\"");
	EXPECT("{\"Env\":[\"A=b c  d\"]}", "ENV A b c  d");
	EXPECT("{\"Env\":[\"A=2\",\"B=1\"]}", "ENV A=1", "ENV B=$A", "ENV A=2");
	EXPECT("{\"Env\":[\"A=x\",\"B=xy$A-x-z-\"]}", "ENV A=x",
	       "ENV B=${A}y'$A'-${A:-q}-${N:-z}-${N:+w}");
	EXPECT("{\"Env\":[\"A=a b\"]}", "ENV A=a\\ b");
	EXPECT("{\"Env\":[\"A=1\",\"B=2\"]}", "ENV A=1 \\\n    B=2");
	EXPECT("{\"Env\":[\"A=\"]}", "ENV A=");
}

static void test_the_rest(void **state)
{
	(void)state;
	EXPECT("{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"8000/tcp\":{},\"8001/tcp\":{}}}",
	       "EXPOSE 80 53/UDP 8000-8001/tcp 80/tcp");
	EXPECT("{\"Volumes\":{\"/a\":{},\"/b c\":{}}}", "VOLUME [\"/a\",\"/b c\"]", "VOLUME /a");
	EXPECT("{\"Volumes\":{\"/a\":{},\"/b\":{}}}", "VOLUME /a /b");
	EXPECT("{\"WorkingDir\":\"/a/c\"}", "WORKDIR /a/b", "WORKDIR ../c/.");
	EXPECT("{\"WorkingDir\":\"/\"}", "WORKDIR ..");
	EXPECT("{\"User\":\"1000:1000\"}", "USER 1000:1000");
	EXPECT("{\"StopSignal\":\"SIGUSR1\"}", "STOPSIGNAL SIGUSR1");
	EXPECT("{\"Labels\":{\"a\":\"x y\",\"b.c\":\"2\"}}", "LABEL a=1 b.c=2", "LABEL a=\"x y\"");
	EXPECT("{\"OnBuild\":[\"RUN x\",\"COPY . /\"]}", "ONBUILD RUN x", "ONBUILD COPY . /");
	EXPECT("{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl -f x\"],\"Interval\":90000000000,"
	       "\"Timeout\":1500000000,\"Retries\":4}}",
	       "HEALTHCHECK --interval=1m30s --timeout=1.5s --retries=4 CMD curl -f x");
	EXPECT("{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\",\"b\"]}}",
	       "HEALTHCHECK CMD [\"a\",\"b\"]");
	EXPECT("{\"Healthcheck\":{\"Test\":[\"NONE\"]}}", "HEALTHCHECK NONE");
	EXPECT("{\"User\":\"x\"}", "# a comment\n\n  USER x  \r\n");
}

static void test_refused(void **state)
{
	static const struct {
		const char *change, *part;
	} cases[] = {
		{"FROM x", "FROM is not a valid change command"},
		{"RUN ls", "RUN is not a valid change command"},
		{"CMD", "CMD requires at least one argument"},
		{"ENV A", "ENV must have two arguments"},
		{"ENV A=b c", "can't find = in \"c\""},
		{"ENV A=\"b", "looking for matching double-quote"},
		{"ENV A=${B", "unsupported modifier"},
		{"ENV A=${B?x}", "unsupported modifier"},
		{"LABEL =x", "LABEL names can not be blank"},
		{"EXPOSE x", "invalid containerPort: x"},
		{"EXPOSE 70000", "invalid containerPort: 70000"},
		{"EXPOSE 80-70", "invalid containerPort: 80-70"},
		{"EXPOSE 80/icmp", "invalid proto: icmp"},
		{"VOLUME [\"\"]", "can not be an empty string"},
		{"SHELL /bin/sh", "JSON form"},
		{"HEALTHCHECK --interval=x CMD y", "invalid duration"},
		{"HEALTHCHECK --interval=1us CMD y", "invalid duration"},
		{"HEALTHCHECK --retries=-1 CMD y", "invalid number"},
		{"HEALTHCHECK --nope=1 CMD y", "unknown flag"},
		{"HEALTHCHECK curl", "Unknown type \"curl\""},
		{"ONBUILD ONBUILD RUN x", "isn't allowed"},
		{"ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"},
		{"ENV A=\xff", "not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const changes[] = {cases[i].change, NULL};
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		struct image_config config = {0};

		if (image_changes_apply(a, &config, changes, &err) >= 0)
			fail_msg("'%s' was accepted", cases[i].change);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(error_msg(&err), cases[i].part))
			fail_msg("'%s' lacks '%s'", error_msg(&err), cases[i].part);
	}
}

static void test_inheriting(void **state)
{
	static const char own[] =
		"{\"User\":\"u\",\"Env\":[\"A=1\",\"B=2\"],\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"],"
		"\"Labels\":{\"k\":\"v\",\"l\":\"w\"},\"ExposedPorts\":{\"80/tcp\":{}},"
		"\"Healthcheck\":{\"Test\":[\"NONE\"],\"Retries\":3},\"WorkingDir\":\"/w\"}";
	static const struct {
		const char *config, *result;
	} cases[] = {
		{"{}", "{\"User\":\"u\",\"ExposedPorts\":{\"80/tcp\":{}},\"Env\":[\"A=1\",\"B=2\"],"
		       "\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"],"
		       "\"Healthcheck\":{\"Test\":[\"NONE\"],\"Retries\":3},\"WorkingDir\":\"/w\","
		       "\"Labels\":{\"k\":\"v\",\"l\":\"w\"}}"},
		{"{\"User\":\"x\",\"Env\":[\"B=3\"],\"Entrypoint\":[\"f\"],\"Labels\":{\"l\":\"z\"}"
		 ","
		 "\"ExposedPorts\":{\"53/udp\":{}},\"Healthcheck\":{\"Interval\":5},"
		 "\"WorkingDir\":\"/x\"}",
		 "{\"User\":\"x\",\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}},"
		 "\"Env\":[\"B=3\",\"A=1\"],\"Entrypoint\":[\"f\"],"
		 "\"Healthcheck\":{\"Test\":[\"NONE\"],\"Interval\":5,\"Retries\":3},"
		 "\"WorkingDir\":\"/x\",\"Labels\":{\"l\":\"z\",\"k\":\"v\"}}"},
		/* A command of one's own keeps the entry point; an empty entry point takes it away. */
		{"{\"Cmd\":[\"d\"],\"Entrypoint\":[]}",
		 "{\"User\":\"u\",\"ExposedPorts\":{\"80/tcp\":{}},\"Env\":[\"A=1\",\"B=2\"],"
		 "\"Entrypoint\":[],\"Cmd\":[\"d\"],"
		 "\"Healthcheck\":{\"Test\":[\"NONE\"],\"Retries\":3},\"WorkingDir\":\"/w\","
		 "\"Labels\":{\"k\":\"v\",\"l\":\"w\"}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoarena struct arena *a = arena_new();
		autostrbuf struct strbuf out = STRBUF_INIT(65536);
		struct image_config config = {0}, base = {0};
		const struct json *v;
		struct json_writer w;

		assert_int_equal(json_parse(a, own, strlen(own), &v, NULL), 0);
		assert_int_equal(image_config_decode(a, v, &base, NULL), 0);
		assert_int_equal(json_parse(a, cases[i].config, strlen(cases[i].config), &v, NULL),
				 0);
		assert_int_equal(image_config_decode(a, v, &config, NULL), 0);
		image_config_inherit(a, &config, &base);
		json_writer_init(&w, &out);
		image_config_write(&w, &config);
		assert_string_equal(out.s, cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),   cmocka_unit_test(test_environment),
		cmocka_unit_test(test_the_rest),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_inheriting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
