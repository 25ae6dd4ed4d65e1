/* Feeds each file of a directory to a fuzzer: its corpus as an ordinary test. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include "fuzz.h"

#define INPUT_LIMIT ((size_t)16 << 20)

static int replay(int dirfd, const char *name)
{
	autoerror struct error err = {0};
	autofree char *text = NULL;
	autofree void *exact = NULL;
	size_t len;

	if (file_read(dirfd, name, INPUT_LIMIT, &text, &len, &err) < 0) {
		(void)fprintf(stderr, "%s\n", error_msg(&err));
		return -1;
	}
	exact = xmemdup(text, len); /* without a NUL behind it: reading on is seen by sanitizers */
	(void)LLVMFuzzerTestOneInput(exact, len);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *e;
	int n = 0, failed = 0;

	if (!dir) {
		(void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (replay(dirfd(dir), e->d_name) < 0)
			failed++;
	}
	(void)closedir(dir);
	(void)printf("%d inputs\n", n);
	return n > 0 && failed == 0 ? 0 : 1;
}
