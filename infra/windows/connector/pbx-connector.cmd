@"%~dp0program\python.exe" -m connector.cli %*
