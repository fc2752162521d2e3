import subprocess
import sys

from workbench.runtime.memory import MemoryWatch

SIZE = 64 << 20


def test_what_a_child_takes_is_counted():
    watch = MemoryWatch()
    code = f"data = b'x' * {SIZE}; print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        watch.session_made()
        found = watch.read()
        child.communicate(b"\n")
    assert found.host_session_bytes - found.host_before_bytes > SIZE
    assert found.host_peak_bytes >= found.host_session_bytes
