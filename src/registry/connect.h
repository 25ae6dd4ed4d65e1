/* registry/connect.h - a helper with its session opened. */
#pragma once

#include "registry/pull.h"
#include "registry/remote.h"

struct connect_args {
	const char *domain;     /* "docker.io" */
	const char *repository; /* "" for none */
	const char *actions;    /* "pull" */
	enum registry_purpose purpose;
};
int registry_connect(const struct registry_args *args, const struct connect_args *to,
		     struct remote **ret, struct error *err);
