/* engine/names.c - names of containers: which are valid, and made-up ones. */
#include "engine/names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const adjectives[] = {
	"agile",   "airy",   "amber",  "ample",  "apt",      "ardent", "balmy",   "bold",
	"breezy",  "bright", "brisk",  "calm",   "candid",   "cheery", "civil",   "clear",
	"clever",  "coral",  "cosy",   "crisp",  "curious",  "daring", "deft",    "eager",
	"earnest", "easy",   "epic",   "fair",   "fearless", "fine",   "fleet",   "fluent",
	"fond",    "frank",  "free",   "fresh",  "gentle",   "glad",   "golden",  "grand",
	"green",   "handy",  "happy",  "hardy",  "hearty",   "honest", "humble",  "jolly",
	"jovial",  "keen",   "kind",   "light",  "lively",   "loyal",  "lucid",   "lucky",
	"mellow",  "merry",  "mild",   "modest", "neat",     "nimble", "noble",   "open",
	"patient", "placid", "plucky", "polite", "prime",    "proud",  "prudent", "quick",
	"quiet",   "rapid",  "ready",  "robust", "rosy",     "serene", "sharp",   "silver",
	"sincere", "smart",  "snappy", "solid",  "spry",     "steady", "stoic",   "sturdy",
	"subtle",  "sunny",  "swift",  "tender", "tidy",     "trusty", "upbeat",  "valiant",
	"vivid",   "warm",   "wise",   "witty",  "zesty",
};

static const char *const surnames[] = {
	"abel",       "alhazen",   "ampere",     "arrhenius",    "avicenna",    "avogadro",
	"banach",     "becquerel", "bernoulli",  "bessel",       "boltzmann",   "borlaug",
	"bose",       "boyle",     "brahe",      "cannon",       "cantor",      "carnot",
	"cauchy",     "cavendish", "celsius",    "chadwick",     "clausius",    "coulomb",
	"curie",      "dalton",    "darwin",     "debye",        "descartes",   "dirac",
	"doppler",    "eddington", "einstein",   "euclid",       "euler",       "faraday",
	"fermat",     "fermi",     "feynman",    "fibonacci",    "fourier",     "franklin",
	"fresnel",    "galilei",   "galois",     "gauss",        "germain",     "gibbs",
	"godel",      "haber",     "halley",     "hamilton",     "heaviside",   "heisenberg",
	"helmholtz",  "herschel",  "hertz",      "hilbert",      "hodgkin",     "hooke",
	"hopper",     "hubble",    "huygens",    "hypatia",      "joule",       "kelvin",
	"kepler",     "khayyam",   "kirchhoff",  "kovalevskaya", "lagrange",    "laplace",
	"lavoisier",  "leavitt",   "leibniz",    "linnaeus",     "lovelace",    "maxwell",
	"mcclintock", "meitner",   "mendel",     "mendeleev",    "mirzakhani",  "mobius",
	"neumann",    "newton",    "noether",    "ohm",          "pascal",      "pasteur",
	"pauli",      "pauling",   "planck",     "poincare",     "ptolemy",     "raman",
	"ramanujan",  "riemann",   "ritchie",    "rutherford",   "schrodinger", "shannon",
	"somerville", "tesla",     "torricelli", "turing",       "volta",       "wallace",
	"watt",       "wegener",   "wu",         "yukawa",
};

static bool is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (!first && (c == '_' || c == '.' || c == '-'));
}

int name_check(const char *name, struct error *err)
{
	size_t len = strlen(name);
	bool ok = len >= 2;

	for (size_t i = 0; ok && i < len; i++)
		ok = is_name_char(name[i], i == 0);
	if (!ok)
		return error_set(err, ERROR_INVALID, 0,
				 "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
				 "allowed",
				 name);
	return 0;
}

void name_make(unsigned retry, char ret[static NAME_MAX_SIZE])
{
	uint32_t random[3] = {0};

	(void)!getrandom(random, sizeof(random), 0);
	(void)snprintf(ret, NAME_MAX_SIZE, "%s_%s", adjectives[random[0] % ARRAY_SIZE(adjectives)],
		       surnames[random[1] % ARRAY_SIZE(surnames)]);
	if (retry > 0)
		(void)snprintf(ret + strlen(ret), NAME_MAX_SIZE - strlen(ret), "%u",
			       random[2] % 10);
}
