/* cli/cli.h - the `vessel` command line: commands as a table, one connection to the engine.
 *
 * A command is {name, flags, arguments, function}.  The function returns an exit code >= 0, or fills the
 * error, which cli_main prints as Docker's client does ("Error response from daemon: ..." comes with
 * errors of the API) and turns into exit code 1, or 125 for flags and run.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "cli/flags.h"

#define CLI_API_VERSION  "1.51"     /* spoken unless the engine's newest is older */
#define CLI_RESPONSE_MAX (64 << 20) /* bytes of a JSON answer */
#define CLI_LINE_MAX     (16 << 20) /* bytes of one line of a stream */
#define CLI_EXIT_REFUSED 125        /* bad flags; run: the engine refused */

struct http_client;
struct http_client_request;
struct http_response;

/* Executes another program of ours; returns on failure. */
typedef int (*cli_program_fn)(const char *name, char **argv, struct error *err);

struct cli {
	const char *host;   /* borrowed */
	char **argv;        /* borrowed: the whole command line */
	cli_program_fn run; /* NULL: this program is the one that reaches hosts by TCP and TLS */
	bool tls, tlsverify;
	const char *tlscacert, *tlscert, *tlskey;
	const char *config;       /* borrowed: --config, or NULL */
	struct http_client *http; /* owned; NULL until the first request */
	char api_version[8];      /* settled with the first request */
	struct arena *arena;      /* owned: lives as long as the command */
};

struct command;

struct invocation {
	const struct command *command;
	void *options; /* the command's options struct, filled */
	struct flags_parsed parsed;
};

struct command {
	const char *name;  /* "run" */
	const char *group; /* "container": also reachable as `container run`; NULL: only on top */
	bool group_only;   /* not reachable without the group: `image inspect` */
	bool stop_at_argument;
	const char *usage; /* behind the name: "[OPTIONS] IMAGE [COMMAND] [ARG...]" */
	const char *help;  /* one line */
	const struct flag *flags;
	size_t options_size;
	int min_args, max_args; /* max_args -1: any number */
	int (*run)(struct cli *cli, const struct invocation *in, struct error *err);
};

/* Each cmd_*.c defines a table that ends in a row without a name. */
extern const struct command container_commands[], life_commands[], update_commands[],
	image_commands[], cp_commands[], files_commands[], prune_commands[], df_commands[],
	system_commands[], exec_commands[], network_commands[], volume_commands[],
	registry_commands[], stats_commands[];

int cli_main(int argc, char **argv, cli_program_fn run);

/* Requests.  `path` has no version ("/containers/json"); an answer outside of 2xx becomes the error
 * "Error response from daemon: MESSAGE" with the kind of its status; 304 is a success. */
int cli_send(struct cli *cli, struct http_client_request *req, const char *path,
	     struct http_response **ret, struct error *err);
/* Where Docker's clients keep their files: --config, $DOCKER_CONFIG, ~/.docker; in the arena. */
const char *cli_config_directory(struct cli *cli);
/* JSON in (or NULL), JSON out into cli->arena (ret may be NULL). */
int cli_json(struct cli *cli, const char *method, const char *path, const struct strbuf *body,
	     const struct json **ret, struct error *err);
/* printf of a path: %s arguments must be escaped with cli_escape. */
char *cli_path(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *cli_escape(struct cli *cli, const char *s); /* percent-encoding, in cli->arena */

/* --filter KEY=VALUE items as the API's {"KEY":["VALUE",...]}, percent-encoded for a query. */
int cli_filters(struct cli *cli, const struct strv *filters, const char **ret, struct error *err);
/* "&platform={...}" of "linux/arm64/v8", "linux/arm64" or "arm64", percent-encoded; "" of NULL. */
const char *cli_platform(struct cli *cli, const char *platform);
/* For flags of such items: is it KEY=VALUE? */
int cli_check_filter(const char *value, struct error *err);
/* A body that is a stream of JSON documents, one a line: `fn` for each as it comes, until it fails. */
typedef int (*cli_line_fn)(const struct json *line, void *data, struct error *err);
int cli_each_line(struct http_response *response, cli_line_fn fn, void *data, struct error *err);

/* Archives: GET to a file (NULL: standard output), which appears when it is whole; and a descriptor's bytes
 * as a request's body, regular files with their length. */
int cli_download(struct cli *cli, const char *path, const char *output, struct error *err);
int cli_upload(struct cli *cli, const char *method, const char *path, int fd,
	       struct http_response **ret, struct error *err);

/* Print `Error: ...` for one of several arguments and go on; used by rm, stop, ... */
void cli_complain(struct error *err);
