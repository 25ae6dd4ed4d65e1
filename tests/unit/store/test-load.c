/* Archives that are odd but right, and small ones that stand for huge ones. */
#include "fixture.h"

#include "base/sha256.h"
#include "oci/image_spec.h"
#include "store/store.h"

struct memory {
	const char *p;
	size_t left;
};

static ssize_t memory_read(void *data, void *buf, size_t size, struct error *err)
{
	struct memory *m = data;
	size_t n = m->left < size ? m->left : size;

	(void)err;
	memcpy(buf, m->p, n);
	m->p += n;
	m->left -= n;
	return (ssize_t)n;
}

static int load(struct fixture *f, struct strbuf *archive, struct store_loaded_list *ret,
		struct error *err)
{
	struct memory m = {archive->s, archive->len};
	const struct stream_reader in = {.read = memory_read, .data = &m};

	return store_load(f->store, &in, NULL, ret, err);
}

static void add_blob(struct strbuf *archive, const struct strbuf *content,
		     char ret[static DIGEST_STRING_SIZE])
{
	autofree char *path = NULL;

	sha256_of(content->s, content->len, ret);
	path = xasprintf("blobs/sha256/%s", digest_hex(ret));
	tar_add(archive,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = path,
				    .mode = 0644,
				    .size = (int64_t)content->len},
		content->s);
}

/* Steps that change nothing all make the same layer, the empty one. */
static void test_same_layer_twice(void **state)
{
	autostrbuf struct strbuf layer = STRBUF_INIT(TEST_TAR_MAX), config = STRBUF_INIT(4096);
	autostrbuf struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX), manifest = STRBUF_INIT(4096);
	char layer_digest[DIGEST_STRING_SIZE], config_digest[DIGEST_STRING_SIZE];
	struct store_loaded_list loaded = {0};
	struct store_image img = {0};
	struct fixture *f = *state;
	struct error err = {0};

	tar_add_entry(&layer, .type = TAR_DIRECTORY, .path = "work/", .mode = 0755);
	tar_add_end(&layer);
	add_blob(&archive, &layer, layer_digest);
	strbuf_addf(&config,
		    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		    "\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
		    layer_digest, layer_digest, layer_digest);
	add_blob(&archive, &config, config_digest);
	strbuf_addf(&manifest,
		    "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[\"twice:1\"],\"Layers\":["
		    "\"blobs/sha256/%s\",\"blobs/sha256/%s\",\"blobs/sha256/%s\"]}]",
		    digest_hex(config_digest), digest_hex(layer_digest), digest_hex(layer_digest),
		    digest_hex(layer_digest));
	tar_add_file(&archive, "manifest.json", manifest.s);
	tar_add_end(&archive);

	assert_ok(load(f, &archive, &loaded, &err), &err);
	assert_int_equal(loaded.n, 1);
	assert_ok(store_image_get(f->store, "twice:1", &img, &err), &err);
	assert_int_equal(img.n_layers, 3);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	store_image_done(&img);
	store_loaded_list_done(&loaded);
}

/* Four indexes of 1,024 items each, the next one in each item: 2^40 manifests in 1 MB. */
static void test_index_bomb(void **state)
{
	autostrbuf struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX);
	autostrbuf struct strbuf doc = STRBUF_INIT(1 << 20);
	char digest[DIGEST_STRING_SIZE];
	struct store_loaded_list loaded = {0};
	struct fixture *f = *state;
	struct error err = {0};

	strbuf_adds(&doc, "{\"schemaVersion\":2,\"manifests\":[]}");
	add_blob(&archive, &doc, digest);
	for (int depth = 0; depth < 4; depth++) {
		size_t len = doc.len;

		strbuf_reset(&doc);
		strbuf_adds(&doc, "{\"schemaVersion\":2,\"manifests\":[");
		for (int i = 0; i < 1024; i++)
			strbuf_addf(&doc,
				    "%s{\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
				    "\"digest\":\"%s\",\"size\":%zu}",
				    i ? "," : "", digest, len);
		strbuf_adds(&doc, "]}");
		if (depth < 3)
			add_blob(&archive, &doc, digest);
	}
	tar_add_file(&archive, "index.json", doc.s);
	tar_add_end(&archive);

	assert_true(load(f, &archive, &loaded, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	assert_int_equal(fixture_count(f, "tmp"), 0);
}

/* An image for three platforms in one index: one of them is taken, and under its name. */
static void test_platforms(void **state)
{
	static const struct {
		const char *os, *arch, *variant; /* arch "": this machine's */
	} platforms[] = {{"linux", "s390x", ""},
			 {"linux", "", "other"},
			 {"linux", "", ""},
			 {"unknown", "unknown", ""}};
	autostrbuf struct strbuf archive = STRBUF_INIT(TEST_TAR_MAX), layer = STRBUF_INIT(1 << 20);
	autostrbuf struct strbuf index = STRBUF_INIT(1 << 20), top = STRBUF_INIT(1 << 20);
	char layer_digest[DIGEST_STRING_SIZE], digest[DIGEST_STRING_SIZE];
	const struct image_platform far = {.os = "linux", .architecture = "s390x"},
				    none = {.os = "linux", .architecture = "riscv64"};
	struct store_load_args args = {.platform = NULL};
	struct store_loaded_list loaded = {0};
	struct fixture *f = *state;
	struct store_image img = {0};
	struct error err = {0};
	struct stream_memory m;
	struct stream_reader in;

	tar_add_file(&layer, "file", "content");
	tar_add_end(&layer);
	add_blob(&archive, &layer, layer_digest);
	strbuf_adds(&index, "{\"manifests\":[");
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
		autostrbuf struct strbuf config = STRBUF_INIT(4096), manifest = STRBUF_INIT(4096);
		const char *arch =
			platforms[i].arch[0] ? platforms[i].arch : image_native_architecture();

		strbuf_addf(&config,
			    "{\"os\":\"linux\",\"architecture\":\"%s\",\"variant\":\"%s\","
			    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
			    arch, platforms[i].variant, layer_digest);
		add_blob(&archive, &config, digest);
		strbuf_addf(&manifest,
			    "{\"config\":{\"digest\":\"%s\"},\"layers\":[{\"digest\":\"%s\"}]}",
			    digest, layer_digest);
		add_blob(&archive, &manifest, digest);
		strbuf_addf(&index,
			    "%s{\"digest\":\"%s\",\"platform\":{\"os\":\"%s\","
			    "\"architecture\":\"%s\",\"variant\":\"%s\"}}",
			    i ? "," : "", digest, platforms[i].os, arch, platforms[i].variant);
	}
	strbuf_adds(&index, "]}");
	add_blob(&archive, &index, digest);
	strbuf_addf(&top,
		    "{\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"annotations\":"
		    "{\"io.containerd.image.name\":\"docker.io/library/many:1\"}}]}",
		    IMAGE_TYPE_OCI_INDEX, digest);
	tar_add_file(&archive, "index.json", top.s);
	tar_add_end(&archive);

	for (int i = 0; i < 2; i++) {
		m = (struct stream_memory){archive.s, archive.len};
		in = stream_reader_memory(&m);
		args = (struct store_load_args){.in = &in, .platform = i ? &far : NULL};
		assert_ok(store_load_with(f->store, &args, &loaded, &err), &err);
		assert_int_equal(loaded.n, 1);
		assert_string_equal(loaded.v[0].name, "many:1");
		assert_ok(store_image_get(f->store, "many:1", &img, &err), &err);
		assert_string_equal(img.id, loaded.v[0].id);
		assert_non_null(strstr(img.config, i ? "s390x" : image_native_architecture()));
		assert_null(strstr(img.config, "other"));
		store_image_done(&img);
		store_loaded_list_done(&loaded);
	}
	m = (struct stream_memory){archive.s, archive.len};
	args = (struct store_load_args){.in = &in, .platform = &none};
	assert_true(store_load_with(f->store, &args, &loaded, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(error_msg(&err),
			    "the archive has no image for the platform linux/riscv64");
	error_done(&err);
	assert_int_equal(fixture_count(f, "tmp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_layer_twice, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_platforms, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_index_bomb, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
