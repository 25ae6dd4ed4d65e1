/* Searching the names of a network. */
#include "shim/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static const char text[] = "network Back\n"
			   "10.0.0.2 fd00::2 web www 0123456789ab\n"
			   "10.0.0.3 - db both\n"
			   "10.0.0.4 - db2 both web.extra\n";
static const struct names_text network = {text, sizeof(text) - 1};

static size_t count(const char *name, sa_family_t family, bool *known)
{
	struct names_found found = {0};

	names_find(network, name, family, &found);
	*known = found.known;
	return found.n;
}

static void names_lead_to_addresses(void **state)
{
	bool known;

	(void)state;
	assert_int_equal(count("web", AF_INET, &known), 1);
	assert_int_equal(count("web", AF_INET6, &known), 1);
	assert_int_equal(count("web", AF_UNSPEC, &known), 2);
	assert_int_equal(count("www", AF_INET, &known), 1);
	assert_int_equal(count("0123456789ab", AF_INET, &known), 1);
	assert_int_equal(count("both", AF_INET, &known), 2);
	assert_int_equal(count("web.extra", AF_INET, &known), 1);
	assert_int_equal(count("web.back", AF_INET, &known), 1);
	assert_true(known);
}

static void a_name_without_an_address_of_the_family_is_known(void **state)
{
	bool known;

	(void)state;
	assert_int_equal(count("db", AF_INET6, &known), 0);
	assert_true(known);
}

static void others_are_not(void **state)
{
	static const char *const names[] = {"we",   "webx",  "",        "10.0.0.2", "fd00::2",
					    "back", ".back", "web.bac", "network",  "web.web.back"};
	bool known;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(count(names[i], AF_UNSPEC, &known), 0);
		assert_false(known);
	}
}

static void addresses_lead_back(void **state)
{
	char name[DNS_NAME_MAX];
	struct netaddr a;

	(void)state;
	(void)netaddr_parse("fd00::2", &a);
	assert_true(names_reverse(network, &a, name));
	assert_string_equal(name, "web.Back");
	(void)netaddr_parse("10.0.0.4", &a);
	assert_true(names_reverse(network, &a, name));
	assert_string_equal(name, "db2.Back");
	(void)netaddr_parse("10.0.0.9", &a);
	assert_false(names_reverse(network, &a, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_to_addresses),
		cmocka_unit_test(a_name_without_an_address_of_the_family_is_known),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(addresses_lead_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
