# Every act, made in this order. Must not know single ones.

import sys

import base
import files
import names
import memory
import processes
import waiting
import sockets
import rights

base.main(*sys.argv[1:])
