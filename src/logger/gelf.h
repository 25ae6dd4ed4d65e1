/* logger/gelf.h - messages of the gelf driver, apart from their sending (GELF 1.1). */
#pragma once

#include "base/logentry.h"
#include "logger/logger.h"

#define GELF_CHUNK_SIZE   1420 /* bytes of a datagram */
#define GELF_CHUNK_HEADER 12   /* 1e 0f, 8 bytes of id, number, count */
#define GELF_CHUNKS_MAX   128

/* "_container_id" and so on, as members behind a comma. */
void gelf_extra(const struct logger_config *c, struct strbuf *out);
/* One message; extra as above. */
void gelf_message(const char *hostname, const struct strbuf *extra, const struct logentry *e,
		  struct strbuf *out);
/* Chunk i of a message into `dst` (GELF_CHUNK_SIZE bytes); its length, 0 behind the last. */
size_t gelf_chunk(const void *data, size_t len, uint64_t id, size_t i, unsigned char *dst);
