"""The demo's stories: a break, and what every part makes of it, told with the seconds since."""
