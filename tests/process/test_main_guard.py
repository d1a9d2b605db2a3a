import subprocess
import sys
from pathlib import Path

import pytest

CALL = "check_main_guard()\nprint('went on')\n"
IMPORT = "from dpl_nas.process.main_guard import check_main_guard\n"


def ran(tmp_path: Path, script: str) -> tuple[int, str, str]:
    file = tmp_path / "mine.py"
    file.write_text(IMPORT + script)
    done = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "script",
    [
        CALL,
        f"def main():\n    {CALL.splitlines()[0]}\nmain()\n",
        f"if __name__ == '__main__':\n    pass\n{CALL}",
        f"for _ in range(1):\n    {CALL.splitlines()[0]}\n",
    ],
)
def test_a_script_without_the_guard_is_told_of_it(tmp_path: Path, script: str) -> None:
    code, out, err = ran(tmp_path, script)
    assert code == 1
    assert out == ""
    assert 'put the work under if __name__ == "__main__":' in err.splitlines()[-1]
    assert "mine.py, line" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "script",
    [
        "if __name__ == '__main__':\n    check_main_guard()\n    print('went on')\n",
        "if '__main__' == __name__ and 1:\n    print(check_main_guard() or 'went on')\n",
        f"if __name__ != '__main__':\n    raise SystemExit\n{CALL}",
    ],
)
def test_a_script_with_it_goes_on(tmp_path: Path, script: str) -> None:
    assert ran(tmp_path, script) == (0, "went on\n", "")


def test_what_is_not_imported_again_needs_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT + CALL], capture_output=True, text=True, check=True
    )
    assert done.stdout == "went on\n"
