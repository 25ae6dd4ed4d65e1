/* shim/protocol.h - what vesseld and a container's shim say to each other.
 *
 * Transport: SOCK_SEQPACKET unix sockets; one JSON object a message (at most SHIM_MESSAGE_MAX bytes),
 * descriptors beside it by SCM_RIGHTS.  The first connection is the socketpair that the shim is
 * spawned with; any later daemon connects to <RuntimeDir>/shim.sock (mode 0600).  Events go to
 * every connection.
 *
 *   request  {"op":"kill","seq":7,...}            daemon -> shim
 *   reply    {"re":7,...} or {"re":7,"error":{"kind":"invalid","errnum":2,"msg":"..."}}
 *   event    {"ev":"exit",...}                     shim -> daemon
 *
 * Life:  spawned --ev namespaces--> --ev created--> (op start) running --ev exit--> exited --(op release)--> gone
 *
 *   - A shim that was spawned without SHIM_CONFIG_FD stands by: op prepare says what it can make before
 *     there is a container, op launch brings that.  Neither has a reply, and the end of file before op
 *     launch ends it.
 *   - ev failed {"error":{...}}: creation failed, everything is undone, the shim exits.
 *   - End of file on the first connection before op start was received: the shim undoes everything and
 *     exits.  After op start it lives on whatever daemons do.
 *   - The shim leaves only after op release (or a failed start, or abort).  At the exit it writes
 *     exit.json durably (unless AutoRemove) and flushes the log, then sends ev exit, then finishes with attached clients
 *     and waiters: whoever asks the daemon because of an answer of the shim must find that the daemon
 *     knows.  The same order holds for ev exec_exit and the exec's client.  Waiters are answered at
 *     op release if a daemon is connected (the reserved ports are closed before that, so the next
 *     container may have them), at once if none is, and at the latest 10 s after ev exit.
 *   - When a start fails the shim closes its waiters' and clients' fds without a word (no shutdown):
 *     the daemon has kept duplicates until then, and answers.
 *   - Output that a client is slow to read is still delivered after op release: the shim lingers for
 *     it with everything else undone, without ports, socket and lock.
 *   - The shim holds SHIM_LOCK_FD until its last moment, with everything undone before: whoever gets
 *     the lock knows that no shim of that container is left.  It never reaches the container.
 *
 * Events:
 *   namespaces {"pid":N,"ports":[{port as in the configuration, HostPort filled in}],"resolver":{"udp":N,"tcp":N}}  + fd: network namespace
 *              (an owned one, or the joined one; no fd when it is the host's); resolver: its ports of 127.0.0.11, if there is one
 *   created    {"pid":N}
 *   failed     {"error":{}}         errnum as for start: most programs that cannot be executed are known here
 *   oom        {}
 *   exit       {"code":N,"oom":bool,"started_at":ns,"finished_at":ns}     code: 128+signal if killed by one
 *   exec_exit  {"id":"...","code":N}               sent before the exec's client sees the end of the stream
 *   waiter     {"condition":"removed"} + fd         a wait client given back at op release with "removed":false, for
 *              the daemon to pass to the next shim
 *
 * Standing by:
 *   prepare    {"Network":bool}     the container is to have a network namespace of its own, and no user
 *              namespace (if it is not so after all, nothing is lost)
 *   launch     {"Id":"..."} + fd 0: the configuration, + fd 1: the lock, as SHIM_CONFIG_FD and SHIM_LOCK_FD
 *
 * Requests (reply {} unless said):
 *   state      -> {"protocol":SHIM_PROTOCOL,"status":"created|running|paused|exited","pid":N,"started_at":ns,
 *                  "exit":{as ev exit} if exited,
 *                  "execs":[{"id","pid","running":bool,"code":N}],"ports":[...]}
 *   start      -> {"started_at":ns}; an error carries errnum ENOENT (127) or EACCES (126), and the shim then exits
 *   abort      only before start: undo everything and exit
 *   kill       {"signal":N}              conflict when not running
 *   resize     {"h":N,"w":N}
 *   attach     {"stdin":bool,"stdout":bool,"stderr":bool,"stream":bool,"logs":bool,"detach_keys":"ctrl-p,ctrl-q","early":"base64"}
 *              + fd of the client.  Allowed from "created" on.  Frames unless the container has a terminal.
 *   wait       {"condition":"not-running|next-exit|removed"} + fd of a client whose chunked HTTP response head has been sent:
 *              the shim writes {"StatusCode":N} and a line feed as one chunk and the final chunk, then closes.  "removed" is
 *              answered at op release with "removed":true.
 *   exec       {"id":"...","tty":bool,"stdin":bool,"stdout":bool,"stderr":bool,"detach_keys":"...","h":N,"w":N,"early":"base64","client":bool}
 *              + fd 0: memfd with the OCI process object; + fd 1: the client if "client".  -> {"pid":N}; errnum as for start
 *   exec_resize {"id","h","w"}
 *   exec_kill   {"id"}                   SIGKILL
 *   update     {"resources":{}}          limits, as in the OCI specification's linux.resources; what is not given stays
 *   pause, resume                         freezer
 *   netns      -> {} + fd
 *   resolver   -> {"resolver":{"udp":N,"tcp":N}}     start it, unless it is there: a network with names was joined
 *   retarget   {"ipv4":"...","ipv6":"..."}            the container's addresses for what is relayed; "" or absent: none
 *   rootfs     {"recursive":bool} -> {} + fd of a detached clone of the root mount (open_tree), with the mounts
 *              below it (volumes) if recursive
 *   release    {"removed":bool}           after exit: answer what waits, unlink the socket, exit
 *
 * Names of networks, by which a container's resolver answers:
 *
 * They are text, replaced as a whole by rename(2), and read anew for every question: a shim keeps
 * nothing of them, and when vesseld is away it goes on by the last ones.
 *
 * <exec root>/names/<network id>: a line "network NAME", then one for each endpoint, its addresses
 * ("-" for none) and names, the first of which is the container's:
 *
 *     network backend
 *     10.213.4.2 fd12::2 web www 0123456789ab
 *
 * <exec root>/containers/<id>/resolver: which of them one container sees, its links (an alias on a
 * network for a name there), and who answers for all else, asked from the container's namespace
 * ("server") or from the host's ("host-server"):
 *
 *     network <network id>
 *     link <network id> database db-1
 *     server 192.0.2.1
 *     host-server 127.0.0.53
 *
 * Names are in lower case.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json_decode.h"

/* A shim outlives upgrades: what is here is only added to, and an operation that a shim does not know is
 * answered by an error.  What an older daemon could not understand raises the number; without one it is 1. */
#define SHIM_PROTOCOL 1

/* Bytes: some 1,400 published ports (both families), or 3,500 running execs.  Above the default of a
 * socket's buffer, which is why a shim raises that of its connections. */
#define SHIM_MESSAGE_MAX (384 << 10)
#define SHIM_MAX_FDS     4

/* Descriptors in a freshly spawned shim. */
#define SHIM_CONFIG_FD \
	3 /* memfd: the configuration, JSON (struct shim_config); not open: stands by */
#define SHIM_CONTROL_FD 4 /* first connection */
#define SHIM_INIT_FD    5 /* optional O_PATH fd of vessel-init */
#define SHIM_LOCK_FD    6 /* RuntimeDir/SHIM_LOCK_NAME, open and locked by flock(2) */
#define SHIM_JOIN_FD    7 /* and what follows: enum shim_join */

/* Optional namespaces of another container, which the spec names by /proc/self/fd/N: a pid could be
 * another process's by then. */
enum shim_join { SHIM_JOIN_NET, SHIM_JOIN_PID, SHIM_JOIN_USER, SHIM_JOIN_IPC, SHIM_JOIN_COUNT };

#define SHIM_SOCKET_NAME   "shim.sock" /* in RuntimeDir */
#define SHIM_LOCK_NAME     "lock"      /* in RuntimeDir */
#define SHIM_NAMES_DIR     "names"     /* in the exec root */
#define SHIM_RESOLVER_NAME "resolver"  /* in RuntimeDir */
#define SHIM_EXIT_NAME \
	"exit.json" /* in StateDir: {"ExitCode":N,"OOMKilled":bool,"StartedAt":ns,"FinishedAt":ns} */

/* A published port.  With HostPort 0 the shim picks one; entries of one Group (IPv4 and IPv6 of one
 * publication) get the same. */
struct shim_port {
	const char *proto;   /* "tcp" or "udp" */
	const char *host_ip; /* numeric; "0.0.0.0", "::" for any */
	uint32_t host_port;
	uint32_t host_port_end;   /* last of a range tried in order; 0: just host_port */
	const char *container_ip; /* numeric, same family as host_ip where there is one */
	uint32_t container_port;
	uint32_t group;
};

struct shim_log {
	const char *type;          /* of the file: "json-file", "local" or "none" */
	const char *path;          /* absolute; NULL: only `driver` gets the log */
	uint64_t max_size;         /* bytes a file; 0: no limit */
	uint32_t max_file;         /* files kept, at least 1 */
	bool compress;             /* files that were rotated away, by `helper` */
	const struct json *attrs;  /* object of strings for every line, or NULL */
	const char *helper;        /* vessel-log, absolute, or NULL */
	const struct json *driver; /* what vessel-log sends to whom (logger/config.h), or NULL */
	bool non_blocking; /* a driver that is slow loses lines, rather than stop the container */
	uint64_t buffer_size; /* bytes that may wait then */
	bool await;           /* at the exit: vessel-log writes what is read back */
};

/* An OCI runtime's program that makes the container instead of our library (shim/program.h). */
struct shim_program {
	const char *path; /* NULL: our library */
	struct json_strings args;
};

/* Decoded with shim_config_parse; JSON names are the members' in Docker's capitals. */
struct shim_config {
	const char *id;              /* "Id": 64 hex */
	const char *runtime_dir;     /* "RuntimeDir": exec-root/containers/<id>; exists */
	const char *state_dir;       /* "StateDir": data-root/containers/<id>; exists */
	const char *seccomp_cache;   /* "SeccompCache": directory */
	const char *seccomp_helper;  /* "SeccompHelper": program */
	const char *init_path;       /* "InitPath": vessel-init for --init, or NULL */
	struct shim_program program; /* "Program": {"Path","Args"} */
	const struct json *spec;     /* "Spec": OCI runtime-spec config */
	struct json_strings lower;   /* "Lower": overlay layers, top first; empty: Spec.root.path */
	const char *upper, *work;    /* "Upper", "Work" */
	/* "UidMappings", "GidMappings": how the layers' owners are shown when Spec joins a user
	 * namespace by path; struct oci_id_mapping */
	struct json_objects uid_mappings, gid_mappings;
	bool tty;        /* "Tty" */
	bool open_stdin; /* "OpenStdin" */
	bool stdin_once; /* "StdinOnce" */
	bool resolver;   /* "Resolver": on a network with names */
	bool auto_remove; /* "AutoRemove": the container goes at its exit; exit.json need not survive a power loss */
	uint32_t rows, cols; /* "Rows", "Cols": first size of the terminal, 0: unset */
	struct shim_log
		log; /* "Log": {"Type","Path","MaxSize","MaxFile","Compress","Attrs","Helper","Driver","NonBlocking","BufferSize","Await"} */
	struct json_objects
		ports; /* "Ports": struct shim_port {"Proto","HostIp","HostPort","HostPortEnd","ContainerIp","ContainerPort","Group"} */
	const char *detach_keys; /* "DetachKeys": default sequence */
	const char
		*cgroup; /* "ShimCgroup": where the shim puts itself, relative to each controller's
					 root (e.g. "/docker/<id>" 's parent); NULL: stays */
};

int shim_config_parse(struct arena *a, const char *text, size_t len, struct shim_config *ret,
		      struct error *err);
void shim_config_write(struct json_writer *w, const struct shim_config *c);

/* The value of "Log" alone. */
int shim_log_parse(struct arena *a, const struct json *v, struct shim_log *ret, struct error *err);

/* One port as an object, in the configuration's names. */
void shim_port_write(struct json_writer *w, const struct shim_port *p);

/* Connect to <runtime_dir>/shim.sock (a path of any length); the socket is blocking.  *ret is owned
 * by the caller.  -ENOENT or -ECONNREFUSED: no shim listens there. */
int shim_connect(const char *runtime_dir, int *ret, struct error *err);

/* One message, either direction.  fds are owned by the receiver of the struct. */
struct shim_message {
	const struct json *body; /* in the caller's arena */
	const char *op;          /* request, else NULL */
	const char *ev;          /* event, else NULL */
	uint64_t seq;            /* of a request or (re) of a reply; 0 for events */
	bool is_reply;
	int fds[SHIM_MAX_FDS];
	size_t fd_count;
};

/* Receive one message (blocking or not as the socket is).  0 at end of file, 1 on a message,
 * -EAGAIN, or an error for a malformed one. */
int shim_message_recv(int sock, struct arena *a, struct shim_message *ret, struct error *err);
/* Send `json` (a complete object) with fds (borrowed). */
int shim_message_send(int sock, const struct strbuf *json, const int *fds, size_t n_fds,
		      struct error *err);
/* The error object of a failed reply or event into *err; returns < 0; 0 when there is none. */
int shim_message_error(const struct shim_message *m, struct error *err);
void shim_error_write(struct json_writer *w, const struct error *err); /* "error":{...} member */
void shim_message_close_fds(struct shim_message *m);
