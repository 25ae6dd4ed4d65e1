#!/usr/bin/python3
"""tools/lint finds what it says it finds, in a small tree of its own, and nothing in a clean one."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')

CLEAN_H = '/* oci/a.h - something. */\n#pragma once\n\n#include <stddef.h>\n\nsize_t a_size(void);\n'
CLEAN_C = ('/* Something. */\n#include "oci/a.h"\n\n#include "base/b.h"\n\n'
           'size_t a_size(void)\n{\n\treturn B;\n}\n')
CLEAN_B = '/* base/b.h - a number. */\n#pragma once\n\n#define B 3\n'


class LintTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='vessel-lint-')
        self.addCleanup(shutil.rmtree, self.dir)
        for name in ('tools/lint', '.clang-format', 'src/base/banned.h', 'meson.build'):
            target = os.path.join(self.dir, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), target)
        subprocess.run(['git', 'init', '-q', self.dir], check=True)
        self.write('src/oci/a.h', CLEAN_H)
        self.write('src/oci/a.c', CLEAN_C)
        self.write('src/base/b.h', CLEAN_B)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def lint(self, *checks):
        run = subprocess.run([os.path.join(self.dir, 'tools/lint'), *checks], check=False,
                             capture_output=True, text=True)
        return run.returncode, run.stdout

    def assert_finds(self, check, expected):
        code, out = self.lint(check)
        self.assertEqual(code, 1, out)
        self.assertIn(expected, out)

    def test_clean(self):
        self.assertEqual(self.lint(), (0, ''))
        self.assertEqual(self.lint('no-such-check')[0], 2)

    def test_layers(self):
        self.write('src/base/c.c', '/* Up. */\n#include "oci/a.h"\n')
        self.assert_finds('include', 'src/base/c.c:2: \'base\' may not include "oci/a.h"')

    def test_single_header_of_a_layer(self):
        self.write('src/shim/protocol.h', '/* P. */\n#pragma once\n')
        self.write('src/shim/other.h', '/* O. */\n#pragma once\n')
        self.write('src/engine/e.c', '/* E. */\n#include "shim/protocol.h"\n')
        self.assertEqual(self.lint('include'), (0, ''))
        self.write('src/engine/f.c', '/* F. */\n#include "shim/other.h"\n')
        self.assert_finds('include', 'src/engine/f.c:2: \'engine\' may not include')

    def test_include_names_its_layer(self):
        self.write('src/oci/c.c', '/* C. */\n#include "a.h"\n#include "oci/none.h"\n')
        self.assert_finds('include', 'src/oci/c.c:2: "a.h" does not name its layer')
        self.assert_finds('include', 'src/oci/c.c:3: "oci/none.h" does not exist')

    def test_private_headers_stay_in_their_layer(self):
        self.write('src/base/b_priv.h', '/* B. */\n#pragma once\n')
        self.write('src/oci/c.c', '/* C. */\n#include "base/b_priv.h"\n')
        self.assert_finds('include', 'src/oci/c.c:2: "base/b_priv.h" is private')

    def test_own_header_first(self):
        self.write('src/oci/a.c', CLEAN_C.replace('#include "oci/a.h"', '#include <stdio.h>'))
        self.assert_finds('include', 'src/oci/a.c:2: the first include is not "oci/a.h"')

    def test_cycle(self):
        self.write('src/base/b.h', CLEAN_B + '#include "base/c.h"\n')
        self.write('src/base/c.h', '/* C. */\n#pragma once\n#include "base/b.h"\n')
        self.assert_finds('include', 'include cycle: src/base/b.h -> src/base/c.h -> src/base/b.h')

    def test_pragma_once(self):
        self.write('src/oci/c.h', '/* C. */\nstruct c;\n')
        self.assert_finds('text', 'src/oci/c.h:1: no #pragma once')

    def test_leftovers_and_whitespace(self):
        self.write('src/oci/c.c', '/* C. */\n/* ' + 'TO' + 'DO: x */\nint c; \n\n')
        self.assert_finds('text', 'src/oci/c.c:2: unfinished: TO' + 'DO')
        self.assert_finds('text', 'src/oci/c.c:3: trailing whitespace')
        self.assert_finds('text', 'src/oci/c.c:4: empty line at the end')

    def test_file_budget(self):
        self.write('src/oci/c.c', '/* C. */\n' + 'int c;\n' * 1199)
        self.assertEqual(self.lint('text'), (0, ''))
        self.write('src/oci/c.c', '/* C. */\n' + 'int c;\n' * 1200)
        self.assert_finds('text', 'src/oci/c.c:1: 1201 lines')

    def test_function_budget(self):
        body = '\tc++;\n' * 117
        self.write('src/oci/c.c', f'/* C. */\nint c;\n\nvoid f(void)\n{{\n{body}}}\n')
        self.assertEqual(self.lint('budget'), (0, ''))
        self.write('src/oci/c.c', f'/* C. */\nint c;\n\nvoid f(void)\n{{\n\tc++;\n{body}}}\n')
        self.assert_finds('budget', 'src/oci/c.c:4: f: 121 lines')
        body = '\tif (c)\n\t\tc++;\n' * 30
        self.write('src/oci/c.c', f'/* C. */\nint c;\n\nvoid f(void)\n{{\n{body}}}\n')
        self.assert_finds('budget', 'src/oci/c.c:4: f: complexity 31')

    def test_calls(self):
        self.write('src/oci/c.c', '/* fork() here is fine */\nint c = fork();\nint d = x.fork();\n'
                   'const char *s = "fork()";\n')
        code, out = self.lint('calls')
        self.assertEqual((code, out.count('\n')), (1, 1), out)
        self.assertTrue(out.startswith('src/oci/c.c:2: fork: use posix_spawn'), out)
        self.write('src/oci/c.c', '/* C. */\n')
        self.write('src/runtime/r.c', '/* R. */\nint c = fork();\n')
        self.assertEqual(self.lint('calls'), (0, ''))

    def test_close_on_exec(self):
        self.write('src/oci/c.c', '/* C. */\nint f = open("x", O_RDONLY);\n'
                   'int g = open("x", O_RDONLY |\n\tO_CLOEXEC);\nint h = pipe(p);\n')
        code, out = self.lint('calls')
        self.assertEqual(code, 1)
        self.assertEqual(out, 'src/oci/c.c:2: open without O_CLOEXEC\n'
                         'src/oci/c.c:5: pipe: use pipe2 with O_CLOEXEC\n')

    def test_format(self):
        self.write('src/oci/c.c', '/* C. */\nint  c;\n')
        self.assert_finds('format', 'src/oci/c.c:2: clang-format would change this')

    def test_headers_alone(self):
        self.write('src/oci/c.h', '/* C. */\n#pragma once\nstruct c {\n\tstruct unknown u;\n};\n')
        self.assert_finds('headers', 'src/oci/c.h:4: does not compile alone')


if __name__ == '__main__':
    if not all(shutil.which(tool) for tool in ('git', 'gcc', 'clang-format', 'pmccabe')):
        print('skip: git, gcc, clang-format and pmccabe are needed')
        sys.exit(77)
    unittest.main()
