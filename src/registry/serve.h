/* registry/serve.h - the helper's life: requests from vesseld until it hangs up (registry/protocol.h). */
#pragma once

/* `system_ca`: PEM text, or NULL; borrowed. */
int registry_serve(int sock, const char *system_ca);
