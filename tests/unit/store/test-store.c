/* Images in, containers' file systems on them, images out. */
#include "fixture.h"

#include <pthread.h>

#include "base/sha256.h"
#include "store/layer.h"

#define LAYER_MAX (1 << 20)

static struct stream_memory memory(const struct strbuf *b)
{
	return (struct stream_memory){.p = b->s, .len = b->len};
}

static int import(struct fixture *f, const struct strbuf *tar, const char *name, char *ret_id,
		  struct error *err)
{
	struct stream_memory m = memory(tar);
	struct stream_reader in = stream_reader_memory(&m);
	const char *const changes[] = {"CMD [\"sh\"]", "ENV A=b", NULL};
	const struct store_import_args args = {.in = &in, .name = name, .changes = changes};

	return store_import(f->store, &args, ret_id, err);
}

static void make_layer(struct strbuf *b, const char *text)
{
	tar_add_entry(b, .type = TAR_DIRECTORY, .path = "./", .mode = 0755);
	tar_add_entry(b, .type = TAR_DIRECTORY, .path = "etc/", .mode = 0750);
	tar_add_file(b, "etc/motd", text);
	tar_add_entry(b, .type = TAR_SYMLINK, .path = "motd", .link = "/etc/motd", .mode = 0777);
	tar_add_entry(b, .type = TAR_HARDLINK, .path = "motd2", .link = "etc/motd");
	tar_add_end(b);
}

static void check_layer_tar(struct fixture *f, const struct store_layer *l,
			    const struct strbuf *expect)
{
	struct strbuf back = STRBUF_INIT(TEST_TAR_MAX);
	struct stream_writer out = strbuf_writer(&back);
	struct error err = {0};

	assert_ok(store_layer_tar(f->store, l->chain_id, &out, &err), &err);
	assert_int_equal(back.len, expect->len);
	assert_memory_equal(back.s, expect->s, back.len);
	strbuf_done(&back);
}

static void test_import_and_read_back(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_image img = {0};
	struct error err = {0};
	char id[DIGEST_STRING_SIZE], digest[DIGEST_STRING_SIZE];

	make_layer(&tar, "hello\n");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_image_get(f->store, "demo:latest", &img, &err), &err);
	assert_string_equal(img.id, id);
	sha256_of(img.config, img.config_len, digest);
	assert_string_equal(digest, id);
	assert_int_equal(img.n_layers, 1);
	assert_int_equal(img.repo_tags.n, 1);
	assert_string_equal(img.repo_tags.v[0], "demo:latest");
	assert_int_equal(img.size, 6);
	assert_true(img.created_ns > 0);
	assert_non_null(strstr(img.config, "\"Cmd\":[\"sh\"]"));
	sha256_of(tar.s, tar.len, digest);
	assert_string_equal(img.layers[0].diff_id, digest);
	check_layer_tar(f, &img.layers[0], &tar);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	store_image_done(&img);
	strbuf_done(&tar);
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_image img = {0};
	struct error err = {0};
	char id[DIGEST_STRING_SIZE], prefix[16];

	make_layer(&tar, "x");
	assert_ok(import(f, &tar, "docker.io/library/demo:1", id, &err), &err);
	assert_ok(store_image_tag(f->store, "demo:1", "localhost:5000/a/b", &err), &err);
	(void)snprintf(prefix, sizeof(prefix), "%.12s", id + 7);
	for (size_t i = 0; i < 6; i++) {
		const char *const refs[] = {"demo:1",
					    "library/demo:1",
					    "docker.io/library/demo:1",
					    "localhost:5000/a/b:latest",
					    id,
					    prefix};

		assert_ok(store_image_get(f->store, refs[i], &img, &err), &err);
		assert_string_equal(img.id, id);
		assert_int_equal(img.repo_tags.n, 2);
		store_image_done(&img);
	}
	assert_true(store_image_get(f->store, "demo", &img, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(error_msg(&err), "No such image: demo:latest");
	error_done(&err);
	assert_true(store_image_get(f->store, "Demo", &img, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	strbuf_done(&tar);
}

static void test_snapshot(void **state)
{
	const char *cid = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_snapshot snap = {0};
	struct error err = {0};
	char id[DIGEST_STRING_SIZE];
	struct strv users = {0};
	struct stat st;
	char *text = NULL, *path, *snap_lower;

	make_layer(&tar, "x");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_snapshot_create(f->store, id, cid, &snap, &err), &err);
	assert_int_equal(snap.lower.n, 1);
	assert_int_equal(stat(snap.upper, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	path = xasprintf("%s/etc/motd", snap.lower.v[0]);
	assert_true(file_read(AT_FDCWD, path, 100, &text, NULL, NULL) >= 0);
	assert_string_equal(text, "x");
	free(text);
	free(path);
	path = xasprintf("%s/%s/etc", snap.layers_dir, snap.lower_short.v[0]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	free(path);
	assert_ok(store_image_users(f->store, id, &users, &err), &err);
	assert_int_equal(users.n, 1);
	snap_lower = xstrdup(snap.lower.v[0]);
	store_snapshot_done(&snap);

	/* An image that is mounted is held, too. */
	{
		struct strbuf other = STRBUF_INIT(LAYER_MAX);
		struct store_snapshot part = {0};
		char second[DIGEST_STRING_SIZE];

		make_layer(&other, "y");
		assert_ok(import(f, &other, "second", second, &err), &err);
		assert_ok(store_snapshot_add_image(f->store, cid, 1, second, &err), &err);
		strv_done(&users);
		assert_ok(store_image_users(f->store, second, &users, &err), &err);
		assert_int_equal(users.n, 1);
		assert_string_equal(users.v[0], cid);
		assert_ok(store_snapshot_open_image(f->store, cid, 1, &part, &err), &err);
		assert_string_equal(part.image_id, second);
		assert_int_equal(part.lower.n, 1);
		assert_string_not_equal(part.lower.v[0], snap_lower);
		assert_null(part.upper);
		store_snapshot_done(&part);
		assert_true(store_snapshot_open_image(f->store, cid, 2, &part, &err) < 0);
		assert_int_equal(err.kind, ERROR_NOT_FOUND);
		error_done(&err);
		assert_true(store_snapshot_add_image(f->store, cid, 0, second, &err) < 0);
		error_done(&err);
		strbuf_done(&other);
	}

	/* It is there after a restart too. */
	fixture_close(f);
	fixture_open(f);
	assert_ok(store_snapshot_get(f->store, cid, &snap, &err), &err);
	assert_string_equal(snap.image_id, id);
	assert_int_equal(access(snap.work, F_OK), 0);
	assert_ok(store_snapshot_remove(f->store, cid, &err), &err);
	assert_int_equal(fixture_count(f, "containers"), 0);
	assert_ok(store_snapshot_remove(f->store, cid, &err), &err);
	assert_true(store_snapshot_get(f->store, cid, &snap, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	error_done(&err);
	store_snapshot_done(&snap);
	strv_done(&users);
	free(snap_lower);
	strbuf_done(&tar);
}

/* ---- docker save archives ---- */

static void digest_of(const struct strbuf *b, char *ret)
{
	sha256_of(b->s, b->len, ret);
}

static void make_config(struct strbuf *config, const char *const *diff_ids, size_t n)
{
	strbuf_adds(config,
		    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":"
		    "\"2020-01-01T00:00:00Z\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(config, "%s\"%s\"", i ? "," : "", diff_ids[i]);
	strbuf_adds(config, "]}}");
}

static int load(struct fixture *f, const struct strbuf *archive, struct store_loaded_list *ret,
		struct error *err)
{
	struct stream_memory m = memory(archive);
	struct stream_reader in = stream_reader_memory(&m);

	return store_load(f->store, &in, NULL, ret, err);
}

static void test_load_old_layout(void **state)
{
	struct fixture *f = *state;
	struct strbuf one = STRBUF_INIT(LAYER_MAX), two = STRBUF_INIT(LAYER_MAX);
	struct strbuf config = STRBUF_INIT(4096), archive = STRBUF_INIT(TEST_TAR_MAX);
	struct strbuf manifest = STRBUF_INIT(4096);
	char d1[DIGEST_STRING_SIZE], d2[DIGEST_STRING_SIZE], cd[DIGEST_STRING_SIZE];
	const char *const diffs[] = {d1, d2};
	struct store_loaded_list loaded = {0};
	struct store_image img = {0};
	struct error err = {0};
	char *name;

	make_layer(&one, "one");
	tar_add_file(&two, "etc/two", "2");
	tar_add_end(&two);
	digest_of(&one, d1);
	digest_of(&two, d2);
	make_config(&config, diffs, 2);
	digest_of(&config, cd);
	/* The second layer comes first, by a link to where its bytes come last. */
	tar_add_entry(&archive, .type = TAR_DIRECTORY, .path = "b/", .mode = 0755);
	tar_add_entry(&archive, .type = TAR_SYMLINK, .path = "b/layer.tar",
		      .link = "../c/layer.tar", .mode = 0777);
	tar_add_file(&archive, "b/VERSION", "1.0");
	strbuf_addf(&manifest,
		    "[{\"Config\":\"%s.json\",\"RepoTags\":[\"demo:a\",\"demo:b\"],"
		    "\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]",
		    cd + 7);
	tar_add_file(&archive, "manifest.json", manifest.s);
	tar_add(&archive,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "a/layer.tar",
				    .mode = 0644,
				    .size = (int64_t)one.len},
		one.s);
	name = xasprintf("%s.json", cd + 7);
	tar_add_file(&archive, name, config.s);
	tar_add(&archive,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "c/layer.tar",
				    .mode = 0644,
				    .size = (int64_t)two.len},
		two.s);
	tar_add_end(&archive);

	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_int_equal(loaded.n, 2);
	assert_string_equal(loaded.v[0].name, "demo:a");
	assert_string_equal(loaded.v[1].name, "demo:b");
	assert_string_equal(loaded.v[0].id, cd);
	assert_ok(store_image_get(f->store, "demo:b", &img, &err), &err);
	assert_int_equal(img.n_layers, 2);
	check_layer_tar(f, &img.layers[0], &one);
	check_layer_tar(f, &img.layers[1], &two);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	assert_int_equal(fixture_count(f, "layers"), 4); /* two, l and empty */

	/* The second layer had no entry for etc: it looks as below. */
	{
		char *path = xasprintf("layers/%s/diff/etc", digest_hex(img.layers[1].chain_id));
		struct stat st;

		assert_int_equal(fstatat(f->fd, path, &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0750);
		free(path);
	}
	store_image_done(&img);
	store_loaded_list_done(&loaded);

	/* A second time it changes nothing. */
	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_int_equal(fixture_count(f, "layers"), 4);
	store_loaded_list_done(&loaded);
	free(name);
	strbuf_done(&one);
	strbuf_done(&two);
	strbuf_done(&config);
	strbuf_done(&archive);
	strbuf_done(&manifest);
}

/* ---- saving ---- */

static void test_save_and_load_again(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX), archive = STRBUF_INIT(TEST_TAR_MAX);
	struct strbuf again = STRBUF_INIT(TEST_TAR_MAX);
	struct stream_writer out = strbuf_writer(&archive), out2 = strbuf_writer(&again);
	const char *const refs[] = {"demo", "demo:other"};
	const char *const unknown[] = {"demo", "nothing"};
	struct store_removed_list removed = {0};
	struct store_loaded_list loaded = {0};
	struct store_image img = {0};
	struct error err = {0};
	char id[DIGEST_STRING_SIZE];

	make_layer(&tar, "saved");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_image_tag(f->store, "demo", "demo:other", &err), &err);
	assert_ok(store_image_tag(f->store, "demo", "elsewhere", &err), &err);
	assert_true(store_save(f->store, unknown, 2, &out, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(archive.len, 0);
	error_done(&err);
	assert_ok(store_save(f->store, refs, 2, &out, &err), &err);

	/* Into an empty store: the same image under the names asked for. */
	assert_ok(store_image_remove(f->store, &(struct store_remove_args){.ref = "elsewhere"},
				     &removed, &err),
		  &err);
	store_removed_list_done(&removed);
	assert_ok(store_image_remove(f->store,
				     &(struct store_remove_args){.ref = id, .force = true},
				     &removed, &err),
		  &err);
	store_removed_list_done(&removed);
	assert_int_equal(fixture_count(f, "layers"), 2);
	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_int_equal(loaded.n, 2);
	assert_string_equal(loaded.v[0].id, id);
	assert_ok(store_image_get(f->store, "demo:other", &img, &err), &err);
	assert_int_equal(img.repo_tags.n, 2);
	check_layer_tar(f, &img.layers[0], &tar);
	assert_ok(store_save(f->store, refs, 2, &out2, &err), &err);
	assert_int_equal(again.len, archive.len);
	assert_memory_equal(again.s, archive.s, again.len);
	store_image_done(&img);
	store_loaded_list_done(&loaded);
	strbuf_done(&again);
	strbuf_done(&archive);
	strbuf_done(&tar);
}

static void note_message(void *data, const char *text)
{
	strbuf_adds(data, text);
}

static void test_names_that_move_are_told(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX), archive = STRBUF_INIT(TEST_TAR_MAX);
	struct stream_writer out = strbuf_writer(&archive);
	struct strbuf told = STRBUF_INIT(4096);
	const struct store_progress progress = {.message = note_message, .data = &told};
	struct stream_memory m;
	struct stream_reader in = stream_reader_memory(&m);
	struct store_loaded_list loaded = {0};
	const char *const refs[] = {"demo"};
	struct error err = {0};
	char first[DIGEST_STRING_SIZE], second[DIGEST_STRING_SIZE], *expect;

	make_layer(&tar, "1");
	assert_ok(import(f, &tar, "demo", first, &err), &err);
	assert_ok(store_save(f->store, refs, 1, &out, &err), &err);
	strbuf_reset(&tar);
	make_layer(&tar, "2");
	assert_ok(import(f, &tar, "demo", second, &err), &err);
	for (int i = 0; i < 2; i++) { /* the second time nothing moves */
		m = memory(&archive);
		assert_ok(store_load(f->store, &in, &progress, &loaded, &err), &err);
		store_loaded_list_done(&loaded);
	}
	expect = xasprintf(
		"The image demo:latest already exists, renaming the old one with ID %s to "
		"empty string\n",
		second);
	assert_string_equal(told.s, expect);
	free(expect);
	strbuf_done(&told);
	strbuf_done(&archive);
	strbuf_done(&tar);
}

/* A layer that the store has is not unpacked again, but its claim is checked. */
static void test_known_layers(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX), archive = STRBUF_INIT(TEST_TAR_MAX);
	struct stream_writer out = strbuf_writer(&archive);
	const char *const refs[] = {"demo"};
	struct store_loaded_list loaded = {0};
	struct error err = {0};
	char id[DIGEST_STRING_SIZE], *motd;

	make_layer(&tar, "known text");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_save(f->store, refs, 1, &out, &err), &err);
	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_string_equal(loaded.v[0].id, id);
	store_loaded_list_done(&loaded);
	assert_int_equal(fixture_count(f, "tmp"), 0);

	motd = memmem(archive.s, archive.len, "known text", 10);
	assert_non_null(motd);
	motd[0] ^= 1;
	assert_true(load(f, &archive, &loaded, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(error_msg(&err), "its digest is"));
	error_done(&err);
	strbuf_done(&archive);
	strbuf_done(&tar);
}

/* ---- removing ---- */

static bool runs(void *data, const char *container)
{
	return str_eq(data, container);
}

static int remove_ref(struct fixture *f, const char *ref, bool force, const char *running,
		      struct store_removed_list *ret, struct error *err)
{
	const struct store_remove_args args = {
		.ref = ref, .force = force, .is_running = runs, .data = (void *)running};

	*ret = (struct store_removed_list){0};
	return store_image_remove(f->store, &args, ret, err);
}

static void expect_conflict(struct fixture *f, const char *ref, bool force, const char *running,
			    const char *text)
{
	struct store_removed_list list;
	struct error err = {0};

	assert_true(remove_ref(f, ref, force, running, &list, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(error_msg(&err), text);
	error_done(&err);
}

static void test_remove_plain(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_removed_list list;
	struct error err = {0};
	char id[DIGEST_STRING_SIZE];

	make_layer(&tar, "x");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_image_tag(f->store, "demo", "other/repo:1", &err), &err);
	assert_ok(remove_ref(f, "demo", false, NULL, &list, &err), &err);
	assert_int_equal(list.n, 1);
	assert_false(list.v[0].deleted);
	assert_string_equal(list.v[0].name, "demo:latest");
	store_removed_list_done(&list);
	assert_ok(remove_ref(f, "other/repo:1", false, NULL, &list, &err), &err);
	assert_int_equal(list.n, 3); /* untagged, the image, its layer */
	assert_string_equal(list.v[0].name, "other/repo:1");
	assert_true(list.v[1].deleted);
	assert_string_equal(list.v[1].name, id);
	assert_true(list.v[2].deleted);
	store_removed_list_done(&list);
	assert_int_equal(fixture_count(f, "layers"), 2);
	assert_int_equal(fixture_count(f, "layers/l"), 0);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	assert_true(remove_ref(f, "demo", false, NULL, &list, &err) < 0);
	assert_string_equal(error_msg(&err), "No such image: demo:latest");
	error_done(&err);
	strbuf_done(&tar);
}

static void test_remove_conflicts(void **state)
{
	const char *cid = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_snapshot snap = {0};
	struct store_removed_list list;
	struct error err = {0};
	char id[DIGEST_STRING_SIZE];
	char *text;

	make_layer(&tar, "x");
	assert_ok(import(f, &tar, "demo", id, &err), &err);
	assert_ok(store_snapshot_create(f->store, id, cid, &snap, &err), &err);

	text = xasprintf("conflict: unable to remove repository reference \"demo:latest\" (must "
			 "force) - container 0123456789ab is using its referenced image %.12s",
			 id + 7);
	expect_conflict(f, "demo", false, NULL, text);
	free(text);
	text = xasprintf(
		"conflict: unable to delete %.12s (must be forced) - image is being used by "
		"stopped container 0123456789ab",
		id + 7);
	expect_conflict(f, id, false, NULL, text);
	free(text);
	text = xasprintf(
		"conflict: unable to delete %.12s (cannot be forced) - image is being used "
		"by running container 0123456789ab",
		id + 7);
	expect_conflict(f, id, true, cid, text);
	free(text);
	assert_ok(store_image_tag(f->store, "demo", "other", &err), &err);
	text = xasprintf(
		"conflict: unable to delete %.12s (must be forced) - image is referenced in "
		"multiple repositories",
		id + 7);
	expect_conflict(f, id, false, NULL, text);
	free(text);

	/* Forced by name while it runs: only the name goes. */
	assert_ok(remove_ref(f, "other", true, cid, &list, &err), &err);
	assert_int_equal(list.n, 1);
	store_removed_list_done(&list);
	/* Forced while stopped: the image goes, its layer stays with the container. */
	assert_ok(remove_ref(f, "demo", true, NULL, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[1].name, id);
	store_removed_list_done(&list);
	assert_int_equal(fixture_count(f, "layers"), 3);
	assert_int_equal(access(snap.lower.v[0], F_OK), 0);
	assert_ok(store_snapshot_remove(f->store, cid, &err), &err);
	assert_int_equal(fixture_count(f, "layers"), 2);
	store_snapshot_done(&snap);
	strbuf_done(&tar);
}

/* ---- archives that fail ---- */

static void expect_load_error(struct fixture *f, const struct strbuf *archive, const char *part)
{
	struct store_loaded_list loaded = {0};
	struct store_image_list list = {0};
	struct error err = {0};

	assert_true(load(f, archive, &loaded, &err) < 0);
	if (!strstr(error_msg(&err), part))
		fail_msg("'%s' lacks '%s'", error_msg(&err), part);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	assert_int_equal(fixture_count(f, "layers"), 2);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 0);
	assert_ok(store_image_list(f->store, &list, &err), &err);
	assert_int_equal(list.n, 0);
	store_image_list_done(&list);
}

static void test_bad_archives_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct strbuf a = STRBUF_INIT(TEST_TAR_MAX), layer = STRBUF_INIT(LAYER_MAX);
	struct strbuf config = STRBUF_INIT(4096);
	char digest[DIGEST_STRING_SIZE], zero[DIGEST_STRING_SIZE];
	const char *diff[] = {digest};

	expect_load_error(f, &a, "no image archive");
	strbuf_adds(&a, "hello, this is not an archive at all");
	expect_load_error(f, &a, "truncated");

	/* A layer that is not what the config says. */
	make_layer(&layer, "x");
	digest_of(&layer, digest);
	(void)snprintf(zero, sizeof(zero), "sha256:%064d", 0);
	diff[0] = zero;
	make_config(&config, diff, 1);
	strbuf_reset(&a);
	tar_add_file(&a, "c.json", config.s);
	tar_add_file(&a, "manifest.json",
		     "[{\"Config\":\"c.json\",\"RepoTags\":[\"x\"],\"Layers\":[\"l.tar\"]}]");
	tar_add(&a,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "l.tar",
				    .mode = 0644,
				    .size = (int64_t)layer.len},
		layer.s);
	expect_load_error(f, &a, "the image config says");

	/* A manifest that leads out of the archive, and a member that does. */
	strbuf_reset(&a);
	tar_add_file(&a, "manifest.json",
		     "[{\"Config\":\"../../etc/passwd\",\"RepoTags\":[],\"Layers\":[]}]");
	expect_load_error(f, &a, "no member '../../etc/passwd'");
	strbuf_reset(&a);
	tar_add_file(&a, "../evil", "x");
	expect_load_error(f, &a, "'../evil'");
	strbuf_reset(&a);
	tar_add_entry(&a, .type = TAR_SYMLINK, .path = "manifest.json", .link = "/../../x");
	expect_load_error(f, &a, "outside the archive");

	/* A layer that tries to get out. */
	strbuf_reset(&layer);
	tar_add_file(&layer, "../../evil", "x");
	tar_add_end(&layer);
	digest_of(&layer, digest);
	diff[0] = digest;
	strbuf_reset(&config);
	make_config(&config, diff, 1);
	strbuf_reset(&a);
	tar_add_file(&a, "c.json", config.s);
	tar_add(&a,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "l.tar",
				    .mode = 0644,
				    .size = (int64_t)layer.len},
		layer.s);
	tar_add_file(&a, "manifest.json",
		     "[{\"Config\":\"c.json\",\"RepoTags\":[\"x\"],\"Layers\":[\"l.tar\"]}]");
	tar_add_end(&a);
	expect_load_error(f, &a, "'..' in a path is refused");
	a.len -= 1500;
	expect_load_error(f, &a, "");
	strbuf_done(&a);
	strbuf_done(&layer);
	strbuf_done(&config);
}

/* ---- crashes ---- */

static void test_leftovers_are_cleaned(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(file_mkdir_p(f->fd, "tmp/17/diff/etc", 0755, NULL), 0);
	assert_int_equal(file_mkdir_p(f->fd, "containers/aaaa/upper", 0755, NULL), 0);
	assert_int_equal(file_mkdir_p(f->fd, "containers/bbbb/upper", 0755, NULL), 0);
	assert_int_equal(
		file_write_atomic(f->fd, "containers/bbbb/upper/precious", "x", 1, 0600, 0, NULL),
		0);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	assert_int_equal(fixture_count(f, "containers"), 0);
	assert_int_equal(fixture_count(f, "aside"), 1);
}

/* ---- OCI layouts, compressed ---- */

static void add_blob(struct strbuf *archive, const struct strbuf *b, char *ret_digest)
{
	autofree char *path = NULL;

	digest_of(b, ret_digest);
	path = xasprintf("blobs/sha256/%s", digest_hex(ret_digest));
	tar_add(archive,
		&(struct tar_entry){
			.type = TAR_FILE, .path = path, .mode = 0644, .size = (int64_t)b->len},
		b->s);
}

/* An OCI layout of one image with a gzip layer and a plain one, whole archive compressed too. */
static void make_oci(struct strbuf *out, const struct strbuf *layer1, const struct strbuf *layer2,
		     const char *annotations, char *ret_id)
{
	struct strbuf plain = STRBUF_INIT(TEST_TAR_MAX), gz = STRBUF_INIT(LAYER_MAX);
	struct strbuf config = STRBUF_INIT(4096), manifest = STRBUF_INIT(4096);
	struct strbuf index = STRBUF_INIT(4096);
	char d1[DIGEST_STRING_SIZE], d2[DIGEST_STRING_SIZE], md[DIGEST_STRING_SIZE];
	char b1[DIGEST_STRING_SIZE], b2[DIGEST_STRING_SIZE];
	const char *const diffs[] = {d1, d2};

	digest_of(layer1, d1);
	digest_of(layer2, d2);
	gzip_add(&gz, layer1->s, layer1->len);
	make_config(&config, diffs, 2);
	tar_add_file(&plain, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	add_blob(&plain, &gz, b1);
	add_blob(&plain, layer2, b2);
	add_blob(&plain, &config, ret_id);
	strbuf_addf(&manifest,
		    "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":1},\"layers\":["
		    "{\"digest\":\"%s\",\"size\":1},{\"digest\":\"%s\",\"size\":1}]}",
		    ret_id, b1, b2);
	add_blob(&plain, &manifest, md);
	strbuf_addf(&index,
		    "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"size\":1,"
		    "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
		    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		    "\"digest\":\"%s\",\"size\":1,\"annotations\":{%s}}]}",
		    d1, md, annotations);
	tar_add_file(&plain, "index.json", index.s);
	tar_add_end(&plain);
	gzip_add(out, plain.s, plain.len);
	strbuf_done(&index);
	strbuf_done(&manifest);
	strbuf_done(&config);
	strbuf_done(&gz);
	strbuf_done(&plain);
}

static void test_load_oci_layout(void **state)
{
	static const struct {
		const char *annotations, *name;
	} cases[] = {
		{"\"io.containerd.image.name\":\"docker.io/library/named:v1\"", "named:v1"},
		{"\"org.opencontainers.image.ref.name\":\"localhost/x:y\"", "localhost/x:y"},
		{"\"org.opencontainers.image.ref.name\":\"latest\"", NULL},
	};
	struct fixture *f = *state;
	struct strbuf one = STRBUF_INIT(LAYER_MAX), two = STRBUF_INIT(LAYER_MAX);

	make_layer(&one, "one");
	tar_add_file(&two, "etc/two", "2");
	tar_add_entry(&two, .type = TAR_HARDLINK, .path = "linked", .link = "etc/motd");
	tar_add_end(&two);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX);
		struct store_removed_list removed = {0};
		struct store_loaded_list loaded = {0};
		struct store_image img = {0};
		struct error err = {0};
		char id[DIGEST_STRING_SIZE];

		make_oci(&archive, &one, &two, cases[i].annotations, id);
		assert_ok(load(f, &archive, &loaded, &err), &err);
		assert_int_equal(loaded.n, 1);
		assert_true(str_eq(loaded.v[0].name, cases[i].name));
		assert_string_equal(loaded.v[0].id, id);
		assert_ok(store_image_get(f->store, id, &img, &err), &err);
		assert_int_equal(img.n_layers, 2);
		/* Both ways back: from the kept blob, and from the tar-split. */
		check_layer_tar(f, &img.layers[0], &one);
		check_layer_tar(f, &img.layers[1], &two);
		assert_int_equal(fixture_count(f, "blobs/sha256"), 1);
		store_image_done(&img);
		assert_ok(store_image_remove(f->store, &(struct store_remove_args){.ref = id},
					     &removed, &err),
			  &err);
		assert_int_equal(fixture_count(f, "blobs/sha256"), 0);
		assert_int_equal(fixture_count(f, "layers"), 2);
		store_removed_list_done(&removed);
		store_loaded_list_done(&loaded);
		strbuf_done(&archive);
	}
	strbuf_done(&one);
	strbuf_done(&two);
}

/* Two images of one archive that share a layer on different parents. */
static void test_shared_layer_on_other_parents(void **state)
{
	struct fixture *f = *state;
	struct strbuf layers[2] = {STRBUF_INIT(LAYER_MAX), STRBUF_INIT(LAYER_MAX)};
	struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX), manifest = STRBUF_INIT(4096);
	char d[2][DIGEST_STRING_SIZE], c[2][DIGEST_STRING_SIZE];
	struct store_loaded_list loaded = {0};
	struct error err = {0};

	make_layer(&layers[0], "0");
	make_layer(&layers[1], "1");
	strbuf_addc(&manifest, '[');
	for (int i = 0; i < 2; i++)
		add_blob(&archive, &layers[i], d[i]);
	for (int i = 0; i < 2; i++) {
		const char *const diffs[] = {d[i], d[1 - i]};
		struct strbuf config = STRBUF_INIT(4096);

		make_config(&config, diffs, 2);
		add_blob(&archive, &config, c[i]);
		strbuf_addf(&manifest,
			    "%s{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[\"i:%d\"],\"Layers\":["
			    "\"blobs/sha256/%s\",\"blobs/sha256/%s\"]}",
			    i ? "," : "", digest_hex(c[i]), i, digest_hex(d[i]),
			    digest_hex(d[1 - i]));
		strbuf_done(&config);
	}
	strbuf_addc(&manifest, ']');
	tar_add_file(&archive, "manifest.json", manifest.s);
	tar_add_end(&archive);
	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_int_equal(loaded.n, 2);
	assert_int_equal(fixture_count(f, "layers"), 6);
	for (int i = 0; i < 2; i++) {
		struct store_image img = {0};

		assert_ok(store_image_get(f->store, c[i], &img, &err), &err);
		check_layer_tar(f, &img.layers[0], &layers[i]);
		check_layer_tar(f, &img.layers[1], &layers[1 - i]);
		store_image_done(&img);
	}
	assert_int_equal(fixture_count(f, "tmp"), 0);
	store_loaded_list_done(&loaded);
	strbuf_done(&manifest);
	strbuf_done(&archive);
	strbuf_done(&layers[0]);
	strbuf_done(&layers[1]);
}

static void test_image_without_layers(void **state)
{
	const char *cid = "aa";
	struct fixture *f = *state;
	struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX), config = STRBUF_INIT(4096);
	struct store_loaded_list loaded = {0};
	struct store_snapshot snap = {0};
	struct error err = {0};

	make_config(&config, NULL, 0);
	tar_add_file(&archive, "c.json", config.s);
	tar_add_file(&archive, "manifest.json", "[{\"Config\":\"c.json\",\"RepoTags\":[\"e:1\"]}]");
	tar_add_end(&archive);
	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_ok(store_snapshot_create(f->store, loaded.v[0].id, cid, &snap, &err), &err);
	assert_int_equal(snap.lower.n, 1);
	assert_int_equal(access(snap.lower.v[0], F_OK), 0);
	store_snapshot_done(&snap);
	assert_ok(store_snapshot_remove(f->store, cid, &err), &err);
	store_loaded_list_done(&loaded);
	strbuf_done(&archive);
	strbuf_done(&config);
}

/* ---- many at once ---- */

#define WORKERS 4
#define ROUNDS  20

struct worker {
	struct fixture *f;
	const struct strbuf *tar;
	unsigned number;
	int unexpected;
	struct error err;
};

/* Imports, uses and removes the same layer as all the others; conflicts and vanished images are part
 * of it, anything else is not. */
static void *worker_main(void *data)
{
	struct worker *w = data;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct store_removed_list removed = {0};
		struct store_snapshot snap = {0};
		char id[DIGEST_STRING_SIZE], cid[17], name[16];
		struct error err = {0};
		int r;

		(void)snprintf(cid, sizeof(cid), "%016x", w->number);
		(void)snprintf(name, sizeof(name), "n%u:x", w->number % 2);
		r = import(w->f, w->tar, name, id, &err);
		if (r >= 0)
			r = store_snapshot_create(w->f->store, id, cid, &snap, &err);
		if (r >= 0 && access(snap.lower.v[0], F_OK) < 0)
			r = error_set(&err, ERROR_INTERNAL, errno, "look at the layer");
		if (r >= 0)
			r = store_image_remove(
				w->f->store,
				&(struct store_remove_args){
					.ref = id, .force = true, .is_running = runs, .data = NULL},
				&removed, &err);
		if (r >= 0 && access(snap.lower.v[0], F_OK) < 0)
			r = error_set(&err, ERROR_INTERNAL, errno, "look at the layer again");
		if (r < 0 && err.kind != ERROR_NOT_FOUND && err.kind != ERROR_CONFLICT) {
			w->unexpected++;
			(void)error_move(&w->err, &err, r);
		}
		error_done(&err);
		if (store_snapshot_remove(w->f->store, cid, &w->err) < 0)
			w->unexpected++;
		store_removed_list_done(&removed);
		store_snapshot_done(&snap);
	}
	return NULL;
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct strbuf tar = STRBUF_INIT(LAYER_MAX);
	struct store_image_list list = {0};
	struct worker w[WORKERS];
	pthread_t threads[WORKERS];
	struct error err = {0};

	make_layer(&tar, "shared");
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){.f = f, .tar = &tar, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, worker_main, &w[i]), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		if (w[i].unexpected)
			fail_msg("%s", error_msg(&w[i].err));
	}
	assert_ok(store_image_list(f->store, &list, &err), &err);
	for (size_t i = 0; i < list.n; i++) {
		struct store_removed_list removed = {0};

		assert_ok(store_image_remove(
				  f->store,
				  &(struct store_remove_args){.ref = list.v[i].id, .force = true},
				  &removed, &err),
			  &err);
		store_removed_list_done(&removed);
	}
	store_image_list_done(&list);
	assert_int_equal(fixture_count(f, "layers"), 2);
	assert_int_equal(fixture_count(f, "containers"), 0);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	strbuf_done(&tar);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_import_and_read_back),
		T(test_resolve),
		T(test_snapshot),
		T(test_load_old_layout),
		T(test_load_oci_layout),
		T(test_shared_layer_on_other_parents),
		T(test_image_without_layers),
		T(test_save_and_load_again),
		T(test_known_layers),
		T(test_names_that_move_are_told),
		T(test_remove_plain),
		T(test_remove_conflicts),
		T(test_bad_archives_leave_nothing),
		T(test_leftovers_are_cleaned),
		T(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
