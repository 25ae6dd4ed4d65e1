/* base/banned.h - functions nobody here calls; included by force before every source file.
 *
 * The system headers that declare them come first, so that only our own calls meet the macros.
 * fork, vfork, clone and dup are checked by tools/lint instead: one file may use them.
 */
#pragma once

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BANNED_(fn) do_not_use_##fn##_see_base_banned_h

#undef strcpy
#define strcpy(...) BANNED_(strcpy)
#undef strcat
#define strcat(...) BANNED_(strcat)
#undef strncpy
#define strncpy(...) BANNED_(strncpy)
#undef strncat
#define strncat(...) BANNED_(strncat)
#undef sprintf
#define sprintf(...) BANNED_(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED_(vsprintf)
#undef strtok
#define strtok(...) BANNED_(strtok)
#undef atoi
#define atoi(...) BANNED_(atoi)
#undef atol
#define atol(...) BANNED_(atol)
#undef basename
#define basename(...) BANNED_(basename)
#undef dirname
#define dirname(...) BANNED_(dirname)
#undef system
#define system(...) BANNED_(system)
#undef popen
#define popen(...) BANNED_(popen)
#undef mktemp
#define mktemp(...) BANNED_(mktemp)
#undef tmpnam
#define tmpnam(...) BANNED_(tmpnam)
#undef ctime
#define ctime(...) BANNED_(ctime)
#undef gmtime
#define gmtime(...) BANNED_(gmtime)
#undef localtime
#define localtime(...) BANNED_(localtime)
