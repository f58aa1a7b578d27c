@echo off
rem The audio helper VERSION of PBX for Teams. Der Audio-Helfer von PBX for Teams.
if not exist "%~dp0program\python.exe" (
  echo Please extract all files of the ZIP archive first, then start this file again.
  echo Bitte entpacken Sie zuerst alle Dateien des ZIP-Archivs und starten Sie diese Datei dann erneut.
  pause
  exit /b 1
)
"%~dp0program\python.exe" -m probe.cli %*
set result=%errorlevel%
if "%~1"=="" pause
exit /b %result%
