/* What of volumes a configuration mounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/volume_priv.h"

static struct container_spec *load(const char *text)
{
	struct container_spec *s = NULL;

	assert_int_equal(container_spec_load(text, strlen(text), &s, NULL), 0);
	return s;
}

static const char text[] =
	"{\"Image\":\"x\",\"Cmd\":[\"y\"],\"Volumes\":{\"/a\":{},\"/b\":{},\"/c\":{},\"/d\":{}},"
	"\"HostConfig\":{\"Binds\":[\"/tmp:/a\",\"data:/v:ro,nocopy\"],\"Tmpfs\":{\"/b\":\"\"},"
	"\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/c\"},"
	"{\"Type\":\"volume\",\"Target\":\"/"
	"m\",\"Source\":\"named\",\"VolumeOptions\":{\"Subpath\":\"s\"}},"
	"{\"Type\":\"volume\",\"Target\":\"/n\"}]}}";

static const struct config_point *find(const struct container_spec *s, const char *target)
{
	for (size_t i = 0; i < s->point_count; i++)
		if (str_eq(s->points[i].target, target))
			return &s->points[i];
	return NULL;
}

static void points(void **state)
{
	autospec struct container_spec *s = load(text);

	(void)state;
	volumes_resolve_own(NULL, "id1", s);
	assert_int_equal(s->point_count, 4);
	assert_string_equal(find(s, "/v")->volume, "data");
	assert_true(find(s, "/v")->read_only && find(s, "/v")->nocopy);
	assert_string_equal(find(s, "/m")->subpath, "s");
	assert_false(find(s, "/m")->anonymous);
	/* Something else is mounted at the others' places. */
	assert_true(find(s, "/d")->anonymous);
	assert_true(find(s, "/n")->anonymous);
	assert_null(find(s, "/a"));
	assert_null(find(s, "/b"));
	assert_null(find(s, "/c"));
}

static void names_of_anonymous_volumes(void **state)
{
	autospec struct container_spec *a = load(text), *b = load(text), *c = load(text);

	(void)state;
	volumes_resolve_own(NULL, "id1", a);
	volumes_resolve_own(NULL, "id1", b);
	volumes_resolve_own(NULL, "id2", c);
	assert_true(str_is_hex(find(a, "/d")->volume, 64));
	assert_string_equal(find(a, "/d")->volume, find(b, "/d")->volume);
	assert_string_not_equal(find(a, "/d")->volume, find(a, "/n")->volume);
	assert_string_not_equal(find(a, "/d")->volume, find(c, "/d")->volume);
}

/* What was resolved at create is what counts from then on. */
static void points_are_stored(void **state)
{
	autospec struct container_spec *s = load(text), *again = NULL;
	autostrbuf struct strbuf out = STRBUF_INIT(1 << 16);
	struct json_writer w;

	(void)state;
	volumes_resolve_own(NULL, "id1", s);
	s->points[0].inherited = true;
	json_writer_init(&w, &out);
	container_spec_write(s, &w);
	again = load(out.s);
	assert_true(again->points_settled);
	volumes_resolve_own(NULL, "id2", again);
	assert_int_equal(again->point_count, s->point_count);
	for (size_t i = 0; i < s->point_count; i++) {
		assert_string_equal(again->points[i].volume, s->points[i].volume);
		assert_string_equal(again->points[i].target, s->points[i].target);
		assert_string_equal(again->points[i].mode, s->points[i].mode);
		assert_int_equal(again->points[i].inherited, i == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points),
		cmocka_unit_test(names_of_anonymous_volumes),
		cmocka_unit_test(points_are_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
