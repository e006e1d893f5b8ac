"""Every way in which what is probed can go wrong, made to happen by real servers: a table, and a campaign."""
