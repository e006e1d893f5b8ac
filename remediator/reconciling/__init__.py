"""What keeps going: who leads, which incident is looked at when, and the chores beside them."""
