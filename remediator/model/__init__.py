"""What the remediator speaks of: incidents, attempts, what was seen, what may be done. Pure values."""
