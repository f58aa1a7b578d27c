"""Setting the connector up: one list of steps, which the browser and the terminal both show."""
