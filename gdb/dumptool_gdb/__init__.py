# SPDX-License-Identifier: GPL-2.0-or-later
"""What dumptool-gdb.py is made of. elf, notes and printk know nothing of gdb and can be tested without it."""
