/* Names, options, rows and the set of volumes; their directories in a temporary one. */
#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "volume/populate.h"

static void names(void **state)
{
	static const char *const good[] = {"ab", "A.b-c_d", "0123"};
	static const char *const bad[] = {"",    "a",   "..",  ".a",      "-a",
					  "a/b", "a b", "a\n", "\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(volume_name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(volume_name_check(bad[i], NULL) < 0);
}

static enum error_kind check(const char *key, const char *value, const char *key2)
{
	struct volume_map m = {0};
	autoerror struct error err = {0};
	int r;

	volume_map_add(&m, key, value);
	if (key2)
		volume_map_add(&m, key2, "x");
	r = volume_options_check(&m, &err);
	volume_map_done(&m);
	assert_true(r < 0);
	return err.kind;
}

static void options(void **state)
{
	struct volume_map m = {0};

	(void)state;
	assert_int_equal(volume_options_check(&m, NULL), 0);
	volume_map_add(&m, "type", "tmpfs");
	volume_map_add(&m, "device", "tmpfs");
	assert_int_equal(volume_options_check(&m, NULL), 0);
	volume_map_done(&m);
	volume_map_add(&m, "size", "1m");
	assert_int_equal(volume_options_check(&m, NULL), 0);
	volume_map_done(&m);
	assert_int_equal(check("size", "much", NULL), ERROR_INVALID);
	assert_int_equal(check("size", "1m", "device"), ERROR_INVALID);
	assert_int_equal(check("colour", "red", NULL), ERROR_INVALID);
	assert_int_equal(check("type", "tmpfs", "o"), ERROR_INVALID); /* no device */
	assert_int_equal(check("device", "/x", NULL), ERROR_INVALID);
}

static struct volume *make(const char *name)
{
	struct volume *v = xnew0(struct volume);

	v->name = xstrdup(name);
	v->created_ns = 7;
	volume_map_add(&v->labels, "k\"ey", name);
	volume_map_add(&v->options, "type", "tmpfs");
	return v;
}

static void rows(void **state)
{
	struct volume *v = make("data"), *again;
	autostrbuf struct strbuf out = STRBUF_INIT(1 << 16);
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &out);
	volume_encode(&w, v);
	assert_int_equal(json_parse(a, out.s, out.len, &doc, NULL), 0);
	assert_int_equal(volume_decode(doc, &again, NULL), 0);
	assert_string_equal(again->name, "data");
	assert_int_equal(again->created_ns, 7);
	assert_string_equal(volume_map_get(&again->labels, "k\"ey"), "data");
	assert_string_equal(volume_map_get(&again->options, "type"), "tmpfs");
	(void)volume_free(v);
	(void)volume_free(again);
	assert_int_equal(json_parse(a, "{\"name\":\"../x\"}", 15, &doc, NULL), 0);
	assert_true(volume_decode(doc, &again, NULL) < 0);
}

static void the_set_is_sorted(void **state)
{
	static const char *const list[] = {"mm", "aa", "zz", "bb"};
	struct volumes s = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		volumes_add(&s, make(list[i]));
	assert_string_equal(s.v[0]->name, "aa");
	assert_string_equal(s.v[3]->name, "zz");
	assert_string_equal(volumes_find(&s, "bb")->name, "bb");
	volumes_drop(&s, volumes_find(&s, "bb"));
	assert_null(volumes_find(&s, "bb"));
	assert_non_null(volumes_find(&s, "mm"));
	volumes_done(&s);
}

static int make_root(char *template)
{
	int fd;

	assert_non_null(mkdtemp(template));
	fd = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(mkdirat(fd, "volumes", 0700), 0);
	assert_int_equal(mkdirat(fd, "tmp", 0700), 0);
	return fd;
}

static bool is_vol(void *data, const char *name)
{
	(void)data;
	return strcmp(name, "vol") == 0;
}

static void directories(void **state)
{
	char template[] = "/tmp/vessel-volume-XXXXXX", layer[64];
	autoclose int root = make_root(template);
	const char *const layers[] = {layer};
	struct volume_layers from = {layers, 1, "/content"};
	autofree char *tmp = NULL, *text = NULL;

	(void)state;
	(void)snprintf(layer, sizeof(layer), "%s/layer", template);
	assert_int_equal(file_mkdir_p(root, "layer/content", 0751, NULL), 0);
	assert_int_equal(file_write_atomic(root, "layer/content/file", "hello", 5, 0640, 0, NULL),
			 0);
	assert_int_equal(volume_make_dir(root, "vol", 0, true, NULL), 0);
	assert_int_equal(volume_make_dir(root, "vol", 0, false, NULL), 0);
	assert_int_equal(volume_populate(root, "vol", false, &from, NULL), 0);
	assert_true(file_read(root, "volumes/vol/_data/file", 100, &text, NULL, NULL) >= 0);
	assert_string_equal(text, "hello");
	/* What is there is left alone. */
	assert_int_equal(file_write_atomic(root, "layer/content/two", "2", 1, 0640, 0, NULL), 0);
	assert_int_equal(volume_populate(root, "vol", false, &from, NULL), 0);
	assert_int_equal(faccessat(root, "volumes/vol/_data/two", F_OK, 0), -1);
	/* Set aside, and back because its row is still there. */
	assert_int_equal(volume_bury_dir(root, "vol", NULL), 0);
	assert_int_equal(faccessat(root, "volumes/vol", F_OK, 0), -1);
	volume_unbury_dirs(root, is_vol, NULL);
	assert_int_equal(faccessat(root, "volumes/vol/_data/file", F_OK, 0), 0);
	/* Set aside by an engine that died, then without a row. */
	assert_int_equal(volume_make_dir(root, "other", 0, true, NULL), 0);
	assert_int_equal(volume_bury_dir(root, "other", NULL), 0);
	volume_unbury_dirs(root, is_vol, NULL);
	assert_int_equal(faccessat(root, "volumes/other", F_OK, 0), -1);
	assert_int_equal(faccessat(root, "volumes/.removed/other", F_OK, 0), -1);

	/* One of the same name is still there, whose row has gone. */
	assert_int_equal(volume_make_dir(root, "other", 0, true, NULL), 0);
	assert_int_equal(volume_bury_dir(root, "other", NULL), 0);
	assert_int_equal(volume_make_dir(root, "other", 0, true, NULL), 0);
	assert_int_equal(file_write_atomic(root, "volumes/other/_data/new", "2", 1, 0640, 0, NULL),
			 0);
	assert_int_equal(volume_bury_dir(root, "other", NULL), 0);
	volume_unbury_dir(root, "other");
	assert_int_equal(faccessat(root, "volumes/other/_data/new", F_OK, 0), 0);
	assert_int_equal(file_remove_tree(root, "volumes/other", NULL), 0);
	assert_int_equal(file_remove_tree(root, "tmp", NULL), 0);
	assert_int_equal(mkdirat(root, "tmp", 0700), 0);

	assert_int_equal(volume_bury_dir(root, "vol", NULL), 0);
	tmp = volume_forget_dir(root, "vol");
	assert_non_null(tmp);
	assert_int_equal(faccessat(root, "volumes/vol", F_OK, 0), -1);
	assert_int_equal(file_remove_tree(root, tmp, NULL), 0);
	free(TAKE_PTR(tmp));
	assert_int_equal(volume_bury_dir(root, "vol", NULL), 0);
	assert_null(volume_forget_dir(root, "vol"));
	assert_int_equal(unlinkat(root, "tmp", AT_REMOVEDIR), 0); /* nothing was left in it */
	assert_int_equal(file_remove_tree(AT_FDCWD, template, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),       cmocka_unit_test(options),
		cmocka_unit_test(rows),        cmocka_unit_test(the_set_is_sorted),
		cmocka_unit_test(directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
