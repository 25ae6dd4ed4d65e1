/* What the labels say of the start order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "engine/boot.h"

static void check(const char *labels, const char *wanted, const char *wanted_bad)
{
	static const char *const names[] = {"started", "healthy", "completed"};
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf text = STRBUF_INIT(4096);
	struct boot_needs needs;
	const struct json *doc;
	const char *bad;

	assert_int_equal(json_parse(a, labels, strlen(labels), &doc, NULL), 0);
	boot_needs_parse(doc, &needs, &bad);
	strbuf_addc(&text, ' ');
	for (size_t i = 0; i < needs.n; i++)
		strbuf_addf(&text, "%s%s=%s ", needs.v[i].service ? "@" : "", needs.v[i].name,
			    names[needs.v[i].condition]);
	assert_string_equal(text.s, wanted);
	if (wanted_bad)
		assert_true(bad && strncmp(bad, wanted_bad, strlen(wanted_bad)) == 0);
	else
		assert_null(bad);
	boot_needs_done(&needs);
}

static void labels(void **state)
{
	(void)state;
	check("{}", " ", NULL);
	check("{\"vessel.depends-on\":\"\"}", " ", NULL);
	check("{\"vessel.depends-on\":\"db\"}", " db=started ", NULL);
	check("{\"vessel.depends-on\":\"db:healthy,,job:completed,x:started\"}",
	      " db=healthy job=completed x=started ", NULL);
	check("{\"vessel.depends-on\":\"a:sometimes,b,:healthy\"}", " b=started ", "a:sometimes");
	check("{\"com.docker.compose.depends_on\":\"db:service_healthy:false,migrate:service_"
	      "completed_"
	      "successfully:true,mail:service_started:false\"}",
	      " @db=healthy @migrate=completed @mail=started ", NULL);
	check("{\"com.docker.compose.depends_on\":\"db\",\"vessel.depends-on\":\"c\"}",
	      " c=started @db=started ", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(labels)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
