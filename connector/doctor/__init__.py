"""`pbx-connector doctor`: checks step by step what a technician would check, and names each fault and its cure."""
