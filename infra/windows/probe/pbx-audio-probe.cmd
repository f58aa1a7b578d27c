@"%~dp0program\python.exe" -m probe.cli %*
