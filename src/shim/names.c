/* Who is called what on a network: searching the text. */
#include "shim/names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool names_line(struct names_text *text, struct names_text *ret)
{
	const char *end;
	size_t n;

	if (text->len == 0)
		return false;
	end = memchr(text->s, '\n', text->len);
	n = end ? (size_t)(end - text->s) : text->len;
	*ret = (struct names_text){text->s, n};
	n += end ? 1 : 0;
	text->s += n;
	text->len -= n;
	return true;
}

bool names_word(struct names_text *line, struct names_text *ret)
{
	size_t n = 0;

	while (line->len > 0 && *line->s == ' ') {
		line->s++;
		line->len--;
	}
	if (line->len == 0)
		return false;
	while (n < line->len && line->s[n] != ' ')
		n++;
	*ret = (struct names_text){line->s, n};
	line->s += n;
	line->len -= n;
	return true;
}

bool names_is(const struct names_text *word, const char *s)
{
	return strlen(s) == word->len && memcmp(word->s, s, word->len) == 0;
}

static struct netaddr parse_address(const struct names_text *word)
{
	char text[NETADDR_SIZE];
	struct netaddr a = {0};

	if (word->len >= sizeof(text))
		return a;
	memcpy(text, word->s, word->len);
	text[word->len] = '\0';
	(void)netaddr_parse(text, &a); /* "-": none */
	return a;
}

/* The first line: the network's name. */
static struct names_text network_name(struct names_text *network)
{
	struct names_text line, word = {"", 0};

	if (names_line(network, &line) && names_word(&line, &word) && names_is(&word, "network"))
		(void)names_word(&line, &word);
	return word;
}

/* What is left of "NAME.NETWORK" without ".NETWORK": bytes, 0 if it does not end so. */
static size_t without_network(const char *name, const struct names_text *network)
{
	size_t len = strlen(name);

	if (len < network->len + 2 || name[len - network->len - 1] != '.')
		return 0;
	/* The network's own name may have capitals in it. */
	return strncasecmp(name + len - network->len, network->s, network->len) == 0
		       ? len - network->len - 1
		       : 0;
}

static void add(struct names_found *found, const struct netaddr *a, sa_family_t family)
{
	found->known = true;
	if (!netaddr_is_set(a) || (family != AF_UNSPEC && a->family != family))
		return;
	for (size_t i = 0; i < found->n; i++)
		if (netaddr_equal(&found->v[i], a))
			return;
	if (found->n < NAMES_MAX)
		found->v[found->n++] = *a;
}

void names_find(struct names_text network, const char *name, sa_family_t family,
		struct names_found *found)
{
	struct names_text own = network_name(&network), line;
	size_t len = strlen(name), shorter = without_network(name, &own);

	if (len == 0)
		return;
	while (names_line(&network, &line)) {
		struct names_text ipv4, ipv6, word;
		bool match = false;

		if (!names_word(&line, &ipv4) || !names_word(&line, &ipv6))
			continue;
		while (!match && names_word(&line, &word))
			match = memcmp(word.s, name, word.len <= len ? word.len : len) == 0 &&
				(word.len == len || (shorter > 0 && word.len == shorter));
		if (match) {
			struct netaddr a4 = parse_address(&ipv4), a6 = parse_address(&ipv6);

			add(found, &a4, family);
			add(found, &a6, family);
		}
	}
}

bool names_reverse(struct names_text network, const struct netaddr *a,
		   char ret[static DNS_NAME_MAX])
{
	struct names_text own = network_name(&network), line;

	while (names_line(&network, &line)) {
		struct names_text ipv4, ipv6, name;
		struct netaddr a4, a6;

		if (!names_word(&line, &ipv4) || !names_word(&line, &ipv6) ||
		    !names_word(&line, &name))
			continue;
		a4 = parse_address(&ipv4);
		a6 = parse_address(&ipv6);
		if (!netaddr_equal(&a4, a) && !netaddr_equal(&a6, a))
			continue;
		return snprintf(ret, DNS_NAME_MAX, "%.*s.%.*s", (int)name.len, name.s, (int)own.len,
				own.s) < DNS_NAME_MAX;
	}
	return false;
}
