"""What compilation costs: a first process that compiles and keeps the result, and a second that loads it."""

from __future__ import annotations


def test_first__gala(benchmark, run_script, tmp_path):
    benchmark.group = "tiny script, first process"
    benchmark.pedantic(run_script, ("tiny_script.py",), {"NUMBA_CACHE_DIR": str(tmp_path)}, rounds=1)
    benchmark.extra_info["note"] = "compiles everything; imports included"


def test_second__gala(benchmark, run_script, tmp_path):
    benchmark.group = "tiny script, second process"
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    benchmark.pedantic(run_script, ("tiny_script.py",), environment, rounds=3, warmup_rounds=1)
    benchmark.extra_info["note"] = "loads compiled code from Numba's cache; imports included"
