@"%~dp0program\python.exe" -m probe.cli %*
@if "%~1"=="" pause
