/* engine/cdi_yaml.h - YAML as JSON: the first document, without anchors, tags or keys that are no scalars.
 *
 * Plain scalars are null, true, false or integers where YAML 1.2's core schema says so, else strings.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* Appended to *out.  ERROR_INVALID with the line. */
int cdi_yaml_to_json(const char *text, size_t len, struct strbuf *out, struct error *err);
