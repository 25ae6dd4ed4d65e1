/* Frames between vesseld and its registry helper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "registry/protocol.h"

static void make_pair(int *a, int *b)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*a = pair[0];
	*b = pair[1];
}

static void send_text(int sock, const char *text, int fd)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);

	strbuf_adds(&b, text);
	assert_int_equal(protocol_send(sock, &b, fd), 0);
}

static char *next(struct protocol_input *in, int sock)
{
	char *text = NULL;
	size_t len = 0;
	int r;

	while ((r = protocol_next(in, &text, &len)) == 0)
		assert_true(protocol_read(in, sock) > 0);
	assert_int_equal(r, 1);
	assert_int_equal(strlen(text), len);
	return text;
}

/* A descriptor comes with the frame it was sent with, not with the one before. */
static void test_frames(void **state)
{
	autoclose int a = -EBADF, b = -EBADF, memfd = fd_memfd("test", "content", 7, NULL);
	autofree char *first = NULL, *second = NULL;
	struct protocol_input in;
	char buf[8] = "";

	(void)state;
	make_pair(&a, &b);
	protocol_input_init(&in);
	send_text(a, "{\"one\":1}", -1);
	send_text(a, "{\"two\":2}", memfd);
	first = next(&in, b);
	assert_string_equal(first, "{\"one\":1}");
	assert_int_equal(in.fd, -EBADF);
	second = next(&in, b);
	assert_string_equal(second, "{\"two\":2}");
	assert_true(in.fd >= 0);
	assert_int_equal(pread(in.fd, buf, 7, 0), 7);
	assert_string_equal(buf, "content");
	fd_close(&a);
	assert_int_equal(protocol_read(&in, b), 0);
	protocol_input_done(&in);
}

static void test_too_long(void **state)
{
	static const unsigned char head[] = {0xff, 0xff, 0xff, 0x7f};
	autoclose int a = -EBADF, b = -EBADF;
	struct protocol_input in;
	size_t len;
	char *text;

	(void)state;
	make_pair(&a, &b);
	protocol_input_init(&in);
	assert_int_equal(write(a, head, sizeof(head)), sizeof(head));
	assert_int_equal(protocol_read(&in, b), sizeof(head));
	assert_int_equal(protocol_next(&in, &text, &len), -EBADMSG);
	assert_int_equal(protocol_read(&in, b), -EBADMSG);
	protocol_input_done(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
