"""`pbx-connector doctor`: step by step what a technician would check, and the name and the cure of what fails."""
