"""What Docker knows of the containers on our servers: their state, their events and what they use."""
