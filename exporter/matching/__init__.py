"""What an answer is matched with, compiled when it is read: RE2 patterns, and CEL over JSON."""
