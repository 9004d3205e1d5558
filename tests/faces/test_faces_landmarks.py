"""Loading the landmark networks."""

import subprocess
import sys


def test_networks_loaded_by_several_threads_leave_standard_error_where_it_is():
    code = (
        "import sys, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from photodouble.faces import landmarks\n"
        "def load(seconds):\n"
        "    with landmarks._quiet():\n"
        "        time.sleep(seconds)\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    list(pool.map(load, (0.1, 0.2)))\n"
        "print('heard', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "heard\n"
