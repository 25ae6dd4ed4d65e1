/* cli/credentials.h - who we are to registries: Docker's config.json, and its credential helpers.
 *
 * {"auths": {SERVER: {"auth": base64 of "name:password", "identitytoken"}}, "credsStore": NAME,
 *  "credHelpers": {SERVER: NAME}} in $DOCKER_CONFIG or ~/.docker.  A helper is docker-credential-NAME, run
 * as `get`, `store` or `erase` with a document on its standard input.
 */
#pragma once

#include "cli/cli.h"

#define CREDENTIALS_HUB "https://index.docker.io/v1/" /* docker.io's server */

struct credentials {
	const char *username, *password, *identity_token; /* NULL: none; in cli->arena */
};

/* The server of a registry's domain: CREDENTIALS_HUB for docker.io. */
const char *credentials_server(const char *domain);
/* Nothing known is no failure: *ret is empty. */
int credentials_get(struct cli *cli, const char *server, struct credentials *ret,
		    struct error *err);
/* *ret_where: a few words for the user, NULL if a helper has it. */
int credentials_store(struct cli *cli, const char *server, const struct credentials *c,
		      const char **ret_where, struct error *err);
int credentials_erase(struct cli *cli, const char *server, struct error *err);
/* The value of X-Registry-Auth for an image's name; in cli->arena. */
int credentials_header(struct cli *cli, const char *image, const char **ret, struct error *err);
