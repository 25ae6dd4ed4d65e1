/* Time of day as nanoseconds since 1970, and its RFC 3339 text. */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t now_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

int64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

/* The Gregorian calendar counted from 1 March, so that the leap day ends the year: then the days
 * before month m of such a year are (153 * m + 2) / 5 (m = 0 for March). */
#define DAYS_PER_ERA     146097 /* 400 years */
#define DAYS_BEFORE_1970 719468 /* from 0000-03-01 */

static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

	return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - DAYS_BEFORE_1970;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + DAYS_BEFORE_1970;
	int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t doe = z - era * DAYS_PER_ERA;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t m = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * m + 2) / 5 + 1);
	*ret_month = (int)(m < 10 ? m + 3 : m - 9);
	*ret_year = (int)(yoe + era * 400 + (*ret_month <= 2 ? 1 : 0));
}

/* Returns the length up to and with the ninth digit of the fraction. */
static size_t format_fixed(int64_t ns, char *ret)
{
	int64_t seconds = ns / NS_PER_S, fraction = ns % NS_PER_S, days, in_day;
	int year, month, day, n;

	if (fraction < 0) {
		fraction += NS_PER_S;
		seconds--;
	}
	days = seconds / 86400;
	in_day = seconds % 86400;
	if (in_day < 0) {
		in_day += 86400;
		days--;
	}
	date_from_days(days, &year, &month, &day);
	n = snprintf(ret, CLOCK_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09d", year, month,
		     day, (int)(in_day / 3600), (int)(in_day / 60 % 60), (int)(in_day % 60),
		     (int)fraction);
	return (size_t)n;
}

void clock_format_rfc3339(int64_t ns, char ret[static CLOCK_RFC3339_SIZE])
{
	size_t n = format_fixed(ns, ret);

	while (ret[n - 1] == '0')
		n--;
	if (ret[n - 1] == '.')
		n--;
	ret[n] = 'Z';
	ret[n + 1] = '\0';
}

void clock_format_rfc3339_fixed(int64_t ns, char ret[static CLOCK_RFC3339_SIZE])
{
	size_t n = format_fixed(ns, ret);

	ret[n] = 'Z';
	ret[n + 1] = '\0';
}

/* Exactly `digits` digits at *s, within [min, max]; *s moves behind them. */
static bool parse_digits(const char **s, int digits, unsigned min, unsigned max, unsigned *ret)
{
	unsigned v = 0;

	for (int i = 0; i < digits; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (unsigned)(**s - '0');
	}
	*ret = v;
	return v >= min && v <= max;
}

static bool parse_char(const char **s, char c)
{
	if ((**s | 0x20) != (c | 0x20)) /* RFC 3339 allows t and z */
		return false;
	(*s)++;
	return true;
}

static bool parse_date_time(const char **s, int64_t *ret_seconds)
{
	static const unsigned char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned year, month, day, hour, minute, second;

	if (!parse_digits(s, 4, 0, 9999, &year) || !parse_char(s, '-') ||
	    !parse_digits(s, 2, 1, 12, &month) || !parse_char(s, '-') ||
	    !parse_digits(s, 2, 1, month_days[month - 1], &day) || !parse_char(s, 'T') ||
	    !parse_digits(s, 2, 0, 23, &hour) || !parse_char(s, ':') ||
	    !parse_digits(s, 2, 0, 59, &minute) || !parse_char(s, ':') ||
	    !parse_digits(s, 2, 0, 59, &second))
		return false;
	if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
		return false;
	*ret_seconds =
		days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

/* ".123": digits past the ninth are dropped. */
static bool parse_fraction(const char **s, int64_t *ret_ns)
{
	int64_t scale = NS_PER_S / 10;

	*ret_ns = 0;
	if (**s != '.')
		return true;
	(*s)++;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10)
		*ret_ns += (**s - '0') * scale;
	return true;
}

static bool parse_offset(const char **s, int64_t *ret_seconds)
{
	unsigned hours, minutes;
	bool west;

	*ret_seconds = 0;
	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		return true;
	}
	if (**s != '+' && **s != '-')
		return false;
	west = *(*s)++ == '-';
	if (!parse_digits(s, 2, 0, 23, &hours) || *(*s) != ':' || !(*s)++ ||
	    !parse_digits(s, 2, 0, 59, &minutes))
		return false;
	*ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
	return true;
}

int clock_parse_rfc3339(const char *s, int64_t *ret_ns)
{
	int64_t seconds, fraction, offset, ns;

	if (!parse_date_time(&s, &seconds) || !parse_fraction(&s, &fraction) ||
	    !parse_offset(&s, &offset) || *s != '\0')
		return -EINVAL;
	seconds -= offset;
	/* 1677-09-21 to 2262-04-11; a negative time counts down to its second, then up. */
	if (seconds < 0 && fraction > 0) {
		seconds++;
		fraction -= NS_PER_S;
	}
	if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, fraction, &ns))
		return -EINVAL;
	*ret_ns = ns;
	return 0;
}
