/* linux/gvariant.h - values in GVariant's text form, as annotations of unit properties have them. */
#pragma once

struct error;
struct json_writer;

/* Parse "uint64 42", "['a', 'b']", "@as []", "{'k': <1>}", ...: writes the value as linux/systemd_bus.h takes
 * it, and fills *ret_type (malloc'd) with its D-Bus signature.  ERROR_INVALID.
 * https://docs.gtk.org/glib/gvariant-text-format.html */
int gvariant_parse(const char *text, struct json_writer *w, char **ret_type, struct error *err);
