/* Which security modules the engine uses. */
#include "engine/security.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/apparmor.h"
#include "engine/engine_priv.h"
#include "linux/apparmor.h"

void security_open(struct engine *e)
{
	autoerror struct error err = {0};

	e->security.apparmor = apparmor_is_enabled();
	if (!e->security.apparmor)
		return;
	e->security.apparmor_default = apparmor_load_default(e->data_fd, e->data_root, &err) >= 0;
	if (!e->security.apparmor_default)
		log_warn("containers have no AppArmor profile unless they name one: %s",
			 error_msg(&err));
}

bool engine_has_apparmor(const struct engine *e)
{
	return e->security.apparmor;
}

const char *security_apparmor_of(const struct engine *e, const struct container *c)
{
	const char *profile = apparmor_profile_of(&c->spec->host);

	if (!e->security.apparmor)
		return NULL;
	return e->security.apparmor_default || !str_eq(profile, APPARMOR_DEFAULT) ? profile : NULL;
}

const char *engine_apparmor_profile(const struct engine *e, const struct container *c)
{
	return c->state.started_at ? security_apparmor_of(e, c) : NULL;
}

int security_prepare(struct engine *e, const struct container *c, struct error *err)
{
	if (!str_eq(security_apparmor_of(e, c), APPARMOR_DEFAULT) ||
	    apparmor_has_profile(APPARMOR_DEFAULT))
		return 0;
	return apparmor_load_default(e->data_fd, e->data_root, err);
}

void security_warn(const struct engine *e, const struct container_spec *s, struct strv *warnings)
{
	struct config_security security;

	if (config_security_parse(&s->host.security_opt, &security, NULL) < 0)
		return;
	if (!e->security.apparmor && !str_empty(security.apparmor) &&
	    !str_eq(security.apparmor, "unconfined"))
		strv_addf(warnings,
			  "AppArmor is not enabled on this host: the profile '%s' has no effect.",
			  security.apparmor);
}
