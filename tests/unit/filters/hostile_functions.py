"""Filters as users should not write them, and good ones between them."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd


def bright(magpsf):
    return magpsf < 18


def raises(magpsf):
    raise ValueError("no\nway")


def short(magpsf):
    return [True]


def sleeps(magpsf):
    time.sleep(1000)


def exits(magpsf):
    print("my last words")
    os._exit(3)


def segfaults(magpsf):
    os.kill(os.getpid(), signal.SIGSEGV)


def stops(magpsf):
    sys.exit("enough")


def texts(magpsf):
    return ["yes"] * len(magpsf)


def prints(magpsf):
    print("x" * 5_000_000)
    os.write(1, b"straight to the descriptor")
    print("y" * 5_000_000, file=sys.stderr)
    return magpsf < 18


def reads_input(magpsf):
    sys.stdin.read()
    return magpsf < 18


def column(no_such_column):
    return no_such_column > 0


def hungry(magpsf):
    np.ones(10**11)
    return magpsf < 18


def vandal(magpsf, cmagpsfc):
    magpsf[:] = 0.0
    for curve in cmagpsfc:
        curve[:] = 0.0
    return magpsf < 18


def faint_past(cmagpsfc):
    return pd.Series([len(curve) > 1 and curve[0] > 18 for curve in cmagpsfc])


def poisoned(candid, magpsf):
    if (candid % 50 == 7).any():
        raise ValueError("poison")
    return magpsf < 18


def leaves_a_thread(magpsf):
    threading.Thread(target=lambda: time.sleep(60)).start()
    return magpsf < 18


def secrets(magpsf):
    theirs = [value for value in os.environ.values() if value == "not theirs"]
    harmless = [name for name in ("PATH", "HOME", "LC_NUMERIC", "OMP_NUM_THREADS") if name in os.environ]
    raise ValueError(theirs, harmless)


def everything(*columns):
    return columns[0]
