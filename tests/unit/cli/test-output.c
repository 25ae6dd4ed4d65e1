/* What commands print, and the grammar of values that the client checks. */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/container_options.h"
#include "cli/gpus.h"
#include "cli/mounts.h"
#include "cli/networks.h"

/* What Go's strconv.Quote makes of the same strings. */
static void quotes_as_go(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\""},
		{"sleep 1000", "\"sleep 1000\""},
		{"sh -c 'echo \"x\"'", "\"sh -c 'echo \\\"x\\\"'\""},
		{"a\\b\tc\nd", "\"a\\\\b\\tc\\nd\""},
		{"\x01\x7f", "\"\\x01\\x7f\""},
		{"caf\xc3\xa9\xe2\x80\xa6", "\"caf\xc3\xa9\xe2\x80\xa6\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(256);

		output_quote(cases[i].in, &b);
		assert_string_equal(b.s, cases[i].out);
	}
}

/* What Docker's client makes of the same --gpus. */
static void gpus_as_dockers(void **state)
{
	static const struct {
		const char *value, *out; /* a request, or an error */
	} cases[] = {
		{"all",
		 "{\"Driver\":\"\",\"Count\":-1,\"Capabilities\":[[\"gpu\"]],\"Options\":{}}"},
		{"2", "{\"Driver\":\"\",\"Count\":2,\"Capabilities\":[[\"gpu\"]],\"Options\":{}}"},
		{"driver=d",
		 "{\"Driver\":\"d\",\"Count\":1,\"Capabilities\":[[\"gpu\"]],\"Options\":{}}"},
		{"\"device=0,1\"", "{\"Driver\":\"\",\"Count\":0,\"DeviceIDs\":[\"0\",\"1\"],"
				   "\"Capabilities\":[[\"gpu\"]],"
				   "\"Options\":{}}"},
		{"count=2,\"capabilities=compute,utility\",driver=nvidia",
		 "{\"Driver\":\"nvidia\",\"Count\":2,\"Capabilities\":[[\"compute\",\"utility\","
		 "\"gpu\"]],"
		 "\"Options\":{}}"},
		{"\"options=a=b,c\",device=x",
		 "{\"Driver\":\"\",\"Count\":0,\"DeviceIDs\":[\"x\"],\"Capabilities\":[[\"gpu\"]],"
		 "\"Options\":{\"a\":\"b\",\"c\":\"\"}}"},
		{"", "EOF"},
		{"x",
		 "invalid count (x): value must be either \"all\" or an integer: invalid syntax"},
		{"99999999999999999999",
		 "invalid count (99999999999999999999): value must be either \"all\" "
		 "or an integer: value out of range"},
		{"all,count=2", "gpu request key 'count' can be specified only once"},
		{"foo=1", "unexpected key 'foo' in 'foo=1'"},
		{"options=", "failed to read gpu options: EOF"},
		{"\"device=0",
		 "parse error on line 1, column 10: extraneous or missing \" in quoted-field"},
		{"\"a\"b",
		 "parse error on line 1, column 3: extraneous or missing \" in quoted-field"},
		{"a\"b", "parse error on line 1, column 2: bare \" in non-quoted-field"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(1024), expected = STRBUF_INIT(1024);
		autostrv struct strv values = {0};
		autoerror struct error err = {0};
		struct json_writer w;

		if (cases[i].out[0] != '{') {
			assert_true(gpus_check(cases[i].value, &err) < 0);
			assert_string_equal(error_msg(&err), cases[i].out);
			continue;
		}
		assert_true(gpus_check(cases[i].value, NULL) >= 0);
		strv_add(&values, cases[i].value);
		json_writer_init(&w, &b);
		jw_object(&w);
		assert_true(gpus_write(&values, &w, NULL) >= 0);
		jw_object_end(&w);
		strbuf_addf(&expected, "{\"DeviceRequests\":[%s]}", cases[i].out);
		assert_string_equal(b.s, expected.s);
	}
}

/* The binary units of stats, and ps's columns, which are 20 wide at least. */
static void memory_and_wide_columns(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} sizes[] = {
		{0, "0B"},
		{1023, "1023B"},
		{1024, "1KiB"},
		{167936, "164KiB"},
		{67108864, "64MiB"},
		{25276000000, "23.54GiB"},
		{1152921504606846976.0, "1EiB"},
	};
	autostrbuf struct strbuf table = STRBUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(64);

		output_size_binary(sizes[i].bytes, &b);
		assert_string_equal(b.s, sizes[i].text);
	}
	output_aligned("PID\tCMD\n1\tsleep 1000\n", 20, &table);
	assert_string_equal(table.s, "PID                 CMD\n1                   sleep 1000\n");
}

static void sizes_and_ages_in_dockers_words(void **state)
{
	static const struct {
		double bytes;
		int digits;
		const char *text;
	} sizes[] = {
		{0, 3, "0B"},           {999, 3, "999B"},        {1000, 3, "1kB"},
		{1982464, 3, "1.98MB"}, {1982464, 4, "1.982MB"}, {153169920, 3, "153MB"},
		{2.5e9, 3, "2.5GB"},    {1e18, 3, "1e+03PB"},
	};
	static const struct {
		int64_t seconds;
		const char *text;
	} ages[] = {
		{0, "Less than a second"}, {1, "1 second"},         {59, "59 seconds"},
		{60, "About a minute"},    {119, "About a minute"}, {120, "2 minutes"},
		{3600, "About an hour"},   {7200, "2 hours"},       {47 * 3600, "47 hours"},
		{48 * 3600, "2 days"},     {14 * 86400, "2 weeks"}, {60 * 86400, "2 months"},
		{730 * 86400, "2 years"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(64);

		output_size(sizes[i].bytes, sizes[i].digits, &b);
		assert_string_equal(b.s, sizes[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(64);

		output_duration(ages[i].seconds, &b);
		assert_string_equal(b.s, ages[i].text);
	}
}

/* NULL: the value is good. */
static void values_have_a_grammar(void **state)
{
	static const struct {
		int (*check)(const char *value, struct error *err);
		const char *value, *problem;
	} cases[] = {
		{container_check_env, "A=b=c", NULL},
		{container_check_env, "A", NULL},
		{container_check_env, "=x", "invalid environment variable: =x"},
		{container_check_label, "a", NULL},
		{container_check_label, "=x", "invalid label '=x': empty name"},
		{container_check_host, "name:1.2.3.4", NULL},
		{container_check_host, "name=::1", NULL},
		{container_check_host, "name", "bad format for add-host: \"name\""},
		{container_check_ulimit, "nofile=5", NULL},
		{container_check_ulimit, "nofile=5:-1", NULL},
		{container_check_ulimit, "nofile", "invalid ulimit argument: nofile"},
		{container_check_ulimit, "nofile=x",
		 "strconv.ParseInt: parsing \"x\": invalid syntax"},
		{container_check_ulimit, "nofile=6:5",
		 "ulimit soft limit must be less than or equal to hard limit: 6 > 5"},
		{mounts_check, "type=bind,src=/a,dst=/b,readonly", NULL},
		{mounts_check, "type=tmpfs,target=/t,tmpfs-size=1m", NULL},
		{mounts_check, "type=bind,src=/a", "target is required"},
		{mounts_check, "nonsense", "invalid field 'nonsense' must be a key=value pair"},
		{mounts_check, "type=bind,src=/a,dst=/b,volume-nocopy",
		 "cannot mix 'volume-*' options with mount type 'bind'"},
		{mounts_check, "type=bind,src=/a,dst=/b,bind-recursive=readonly",
		 "option 'bind-recursive=readonly' requires 'readonly' to be specified in "
		 "conjunction"},
		{mounts_check, "type=tmpfs,dst=/t,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"},
		{networks_check, "net", NULL},
		{networks_check, "name=net,alias=a,driver-opt=k=v,gw-priority=-1", NULL},
		{networks_check, "alias=a", "network name/id is not specified"},
		{networks_check, "name=net,what=1", "invalid field key what"},
		{networks_check, "name=net,gw-priority=x",
		 "invalid gw-priority (x): invalid syntax"},
		{mounts_check, "dst=/a,what=1", "unexpected key 'what' in 'what=1'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoerror struct error err = {0};
		int r = cases[i].check(cases[i].value, &err);

		assert_int_equal(r < 0, cases[i].problem != NULL);
		if (cases[i].problem)
			assert_string_equal(error_msg(&err), cases[i].problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_as_go),
		cmocka_unit_test(sizes_and_ages_in_dockers_words),
		cmocka_unit_test(gpus_as_dockers),
		cmocka_unit_test(memory_and_wide_columns),
		cmocka_unit_test(values_have_a_grammar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
