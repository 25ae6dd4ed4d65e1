/* Files of images, read from their layers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../base/tmpdir.h"
#include "base/error.h"
#include "engine/rootfs_file.h"

static void write_file(const struct tmpdir *dir, const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(dir->fd, name, text, strlen(text), 0644, 0, NULL), 0);
}

static void topmost_layer_wins(void **state)
{
	autotmpdir struct tmpdir top = tmpdir_new(), bottom = tmpdir_new();
	const char *const v[] = {top.path, bottom.path};
	const struct rootfs_dirs dirs = {v, 2};
	autofree char *first = NULL, *second = NULL;
	autoerror struct error err = {0};

	(void)state;
	write_file(&top, "a", "top");
	write_file(&bottom, "a", "bottom");
	write_file(&bottom, "b", "lower");
	assert_int_equal(rootfs_file_read(&dirs, "/a", 100, &first, &err), 0);
	assert_string_equal(first, "top");
	assert_int_equal(rootfs_file_read(&dirs, "/b", 100, &second, &err), 0);
	assert_string_equal(second, "lower");
}

static void links_stay_inside(void **state)
{
	autotmpdir struct tmpdir layer = tmpdir_new();
	const char *const v[] = {layer.path};
	const struct rootfs_dirs dirs = {v, 1};
	autofree char *text = NULL;

	(void)state;
	write_file(&layer, "passwd", "ours");
	assert_int_equal(symlinkat("/../../passwd", layer.fd, "link"), 0);
	assert_int_equal(symlinkat("/proc/self/exe", layer.fd, "exe"), 0);
	assert_int_equal(rootfs_file_read(&dirs, "/link", 100, &text, NULL), 0);
	assert_string_equal(text, "ours");
	assert_int_equal(rootfs_file_read(&dirs, "/exe", 1 << 20, &text, NULL), -ENOENT);
}

/* Opening one for reading would let this writer in. */
static void only_regular_files_are_opened(void **state)
{
	autotmpdir struct tmpdir layer = tmpdir_new();
	const char *const v[] = {layer.path};
	const struct rootfs_dirs dirs = {v, 1};
	autoerror struct error err = {0};
	char *text = NULL;

	(void)state;
	assert_int_equal(mkfifoat(layer.fd, "fifo", 0644), 0);
	assert_true(rootfs_file_read(&dirs, "/fifo", 100, &text, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(openat(layer.fd, "fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, ENXIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topmost_layer_wins),
		cmocka_unit_test(links_stay_inside),
		cmocka_unit_test(only_regular_files_are_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
