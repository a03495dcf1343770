"""What the market says now: the live option chain, and the forward of each expiry and venue."""
