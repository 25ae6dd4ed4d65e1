/* api/handlers.h - every handler there is; each says in the table where it runs. */
#pragma once

struct api_call;
struct error;

#define HANDLER(name) int name(struct api_call *c, struct error *err)

/* system.c */
HANDLER(system_ping);
HANDLER(system_version);
HANDLER(system_plugins);
HANDLER(system_no_plugin);
HANDLER(system_no_swarm);
HANDLER(system_not_in_swarm);
HANDLER(system_build_prune);
HANDLER(system_df);
/* info.c */
HANDLER(system_info);
/* events.c */
HANDLER(events_stream);

/* containers.c */
HANDLER(containers_create);
HANDLER(containers_list);
HANDLER(containers_inspect);
HANDLER(containers_prune);
/* stats.c */
HANDLER(containers_stats);
/* top.c */
HANDLER(containers_top);
/* containers_life.c */
HANDLER(containers_start);
HANDLER(containers_stop);
HANDLER(containers_restart);
HANDLER(containers_kill);
HANDLER(containers_pause);
HANDLER(containers_unpause);
HANDLER(containers_rename);
HANDLER(containers_update);
HANDLER(containers_resize);
HANDLER(containers_remove);
HANDLER(containers_wait);
/* archive.c */
HANDLER(containers_archive_get);
HANDLER(containers_archive_head);
HANDLER(containers_archive_put);
HANDLER(containers_export);
HANDLER(containers_changes);
/* attach.c */
HANDLER(containers_attach);
HANDLER(containers_attach_ws);
/* logs.c */
HANDLER(containers_logs);

/* exec.c */
HANDLER(exec_create_handler);
HANDLER(exec_start_handler);
HANDLER(exec_resize_handler);
HANDLER(exec_inspect_handler);

/* images.c */
HANDLER(images_list);
HANDLER(images_inspect);
HANDLER(images_history);
HANDLER(images_tag);
HANDLER(images_remove);
HANDLER(images_prune);
/* images_commit.c */
HANDLER(images_commit);
/* images_fsck.c */
HANDLER(system_fsck);
HANDLER(system_import_docker);
/* images_io.c */
HANDLER(images_load);
HANDLER(images_create);
HANDLER(images_save);
HANDLER(images_save_one);
/* images_pull.c */
HANDLER(images_pull); /* of images_create: fromImage */
/* images_push.c */
HANDLER(images_push);
/* images_remote.c */
HANDLER(images_search);
HANDLER(distribution_inspect);
HANDLER(registry_auth);

/* networks.c */
HANDLER(networks_list);
HANDLER(networks_inspect);
/* networks_change.c */
HANDLER(networks_create);
HANDLER(networks_remove);
HANDLER(networks_prune);
HANDLER(networks_connect);
HANDLER(networks_disconnect);
/* volumes.c */
HANDLER(volumes_list);
HANDLER(volumes_inspect);
HANDLER(volumes_create);
HANDLER(volumes_prune);
HANDLER(volumes_delete);
HANDLER(volumes_update);
