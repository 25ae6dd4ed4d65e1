/* runtime/prepared_priv.h - what runtime_prepare() has made, for runtime_create(). */
#pragma once

struct cgroup_layout;
struct netns_maker;
struct runtime_prepared;

/* What is taken is the caller's; NULL: there is none.  `p` may be NULL. */
struct cgroup_layout *prepared_take_cgroups(struct runtime_prepared *p);
struct netns_maker *prepared_take_netns(struct runtime_prepared *p);
