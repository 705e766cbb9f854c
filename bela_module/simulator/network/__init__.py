"""The simulated board's side of the network: websockets, their server, delays on the way."""
