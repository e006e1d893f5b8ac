"""From the facts to what is to be done: gathered, decided, and asked once more before the act."""
