/* api/images_filter.h - which images are asked for: the filters of list and prune, and platforms. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/filters.h"
#include "oci/image_spec.h"

struct api_call;
struct store_image;
struct error;

struct images_filter {
	struct filters filters;
	bool dangling_asked, dangling;
	int64_t before_ns, since_ns, until_ns;
};
/* The query's `filters`.  prune: those of prune, where `dangling` is a question of its own.  [worker] */
int images_filter_parse(struct api_call *c, bool prune, struct images_filter *ret,
			struct error *err);
/* All but `dangling`. */
bool images_filter_match(const struct images_filter *q, const struct store_image *img);
/* Take away the names that were not asked for. */
void images_filter_names(const struct images_filter *q, struct store_image *img);

/* The query's `platform`, a JSON object; absent: *ret_given false.  ERROR_INVALID. */
int images_platform_parse(struct api_call *c, struct image_platform *ret, bool *ret_given,
			  struct error *err);
/* The query's `platforms`, of a removal: as images_platform_check.  Several are ERROR_INVALID. */
int images_platforms_check(struct api_call *c, const char *ref, struct error *err);
/* ERROR_NOT_FOUND if `platform` was asked for and the image is for another one. */
int images_platform_check(struct api_call *c, const char *ref, const struct store_image *img,
			  struct error *err);
