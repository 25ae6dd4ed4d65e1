/* A bundle's configuration, with the memory it lives in. */
#include "bin/runtime/bundle.h"

#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "bin/runtime/options.h"
#include "runtime/state.h"

#define ARENA_MIN      ((size_t)2048)
#define ARENA_PER_BYTE 6 /* strings, nodes, and what is made of them */

int bundle_parse(struct bundle *b, struct error *err)
{
	b->arena = arena_new_of(ARENA_MIN + ARENA_PER_BYTE * b->len);
	return oci_spec_parse(b->arena, b->text, b->len, &b->spec, err);
}

int bundle_read(const char *path, struct bundle *ret, struct error *err)
{
	int r;

	ret->path = realpath(path ? path : ".", NULL);
	ret->fd = ret->path ? open(ret->path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (ret->fd < 0)
		return error_set(err, ERROR_INVALID, errno, "bundle '%s'", path ? path : ".");
	r = file_read(ret->fd, "config.json", OCI_SPEC_MAX, &ret->text, &ret->len, err);
	return r < 0 ? r : 0;
}

bool bundle_seems_to_take_netns(const struct bundle *b)
{
	const char *list = strstr(b->text, "\"namespaces\"");
	const char *network = list ? strstr(list, "\"network\"") : NULL;
	const char *user = list ? strstr(list, "\"user\"") : NULL;
	const char *list_end = list ? strchr(list, ']') : NULL;
	const char *object = network, *object_end = network ? strchr(network, '}') : NULL, *path;

	if (!object_end || !list_end || network > list_end || (user && user < list_end))
		return false;
	while (object > list && *object != '{')
		object--;
	path = strstr(object, "\"path\"");
	return !path || path > object_end;
}

int bundle_load_saved(const struct state *s, struct bundle *ret, struct error *err)
{
	int r = state_read_config(s, &ret->text, &ret->len, err);

	return r < 0 ? r : bundle_parse(ret, err);
}

int bundle_seccomp_cache(const struct options *o, const struct bundle *b, char **ret,
			 struct error *err)
{
	if (json_is_null(b->spec.linux_.seccomp))
		return 0;
	*ret = xasprintf("%s/.seccomp", o->value[OPT_ROOT]);
	return file_mkdir_p(AT_FDCWD, *ret, 0700, err);
}

void bundle_done(struct bundle *b)
{
	(void)arena_free(b->arena);
	fd_close(&b->fd);
	free(b->text);
	free(b->path);
}
