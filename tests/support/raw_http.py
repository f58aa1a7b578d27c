"""HTTP requests written by hand."""

WEBSOCKET_HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MTExMTExMTExMTExMTExMQ==",
}
"""Headers of a request that opens a WebSocket."""
