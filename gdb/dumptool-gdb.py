# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for a kernel in gdb: gdb -c CORE -x dumptool-gdb.py; dumptool-gdb(7) tells all of them.

CORE is what `dumptool tovelf` writes.
"""
import os
import sys


def load():
    if sys.version_info < (3, 6):
        raise RuntimeError("dumptool-gdb.py needs a gdb with Python 3.6 or later")
    # not __file__, which is that of the first of nested scripts
    here = os.path.dirname(os.path.realpath(load.__code__.co_filename))
    if here not in sys.path:
        sys.path.insert(0, here)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # what is installed stays as it is
    try:
        from dumptool_gdb import commands
    finally:
        sys.dont_write_bytecode = keep
    commands.register()


load()
